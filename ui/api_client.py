"""The public API, typed. Every way in which a call can fail is an `ApiError` that has words for the user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, TypedDict, cast
from urllib.parse import quote

import anyio
import httpx2

from ui import words
from ui.details import translated

# An answer may take as long as a big file takes to be written; a follow stream may be silent as long as a cell is.
TIMEOUT = httpx2.Timeout(30.0, connect=5.0, write=120.0)
UPLOAD_TIMEOUT = httpx2.Timeout(120.0, connect=5.0)
STREAM_TIMEOUT = httpx2.Timeout(30.0, connect=5.0, read=120.0)
LONG_TIMEOUT = httpx2.Timeout(30.0, connect=5.0, read=None)
CHUNK_BYTES = 1024 * 1024

_Stream = AbstractAsyncContextManager[httpx2.Response]
ExportForm = Literal["ipynb", "html", "md"]


class Session(TypedDict):
    """A session, as far as the page shows it."""

    id: str
    name: str
    profile: str
    state: str
    last_active_at: str
    shared_by: str | None
    model: NotRequired[str | None]
    approval: NotRequired[str]
    instructions: NotRequired[str]
    usage: NotRequired[dict[str, Any]]


class FileEntry(TypedDict):
    """A file of the workspace."""

    path: str
    size: int
    modified_at: str
    mime_type: str | None


class Model(TypedDict):
    """A model that may be picked."""

    id: str
    available: bool
    default: bool
    detail: str | None


class Profile(TypedDict):
    """A sandbox profile that may be picked."""

    name: str
    default: bool


class Person(TypedDict):
    """Who is asking; `mode` is `one` where there are no accounts."""

    name: str
    role: str
    mode: str
    can_log_out: bool


class ApiError(Exception):
    """A call failed; `str()` of it is what the user reads."""

    def __init__(self, detail: str, code: str = "unreachable", status: int = 0, title: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.title = title


class Api:
    """A client of the API for the life of the page's process."""

    def __init__(self, base_url: str, token: str | None, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}  # where one token is everybody's
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=TIMEOUT,
            transport=transport,
            # Each page that watches a turn holds a connection.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )
        self._who: dict[str, str] = {}

    def of(self, who: Mapping[str, str]) -> Api:
        """Return the same API as somebody, whom these headers speak for; nobody, where there are none."""
        theirs = copy(self)
        theirs._who = dict(who)
        return theirs

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ways_in(self) -> dict[str, Any]:
        """Tell how people come in."""
        return cast(dict[str, Any], await self._json("GET", "/v1/login"))

    async def log_in(self, name: str, password: str, about: dict[str, str]) -> str:
        """Return a login; `about` has the headers that tell of the browser."""
        return str(
            (await self._json("POST", "/v1/login", json={"name": name, "password": password}, headers=about))["token"]
        )

    async def begin_sso(self) -> dict[str, str]:
        """Begin a single sign-on: where to send the browser, what it keeps, and where it comes back."""
        return cast(dict[str, str], await self._json("POST", "/v1/login/sso"))

    async def finish_sso(self, answer: dict[str, str], about: dict[str, str]) -> str:
        """Return the login of whom the provider vouches for."""
        return str((await self._json("POST", "/v1/login/sso/finish", json=answer, headers=about))["token"])

    async def log_out(self) -> None:
        """End the login that this is used with."""
        await self._json("POST", "/v1/logout")

    async def me(self) -> Person:
        """Tell who this is."""
        return cast(Person, await self._json("GET", "/v1/me"))

    async def sessions(self) -> list[Session]:
        """List the sessions, most recently used first."""
        return cast(list[Session], await self._json("GET", "/v1/sessions"))

    async def session(self, session: str) -> Session:
        """Look at one session."""
        return cast(Session, await self._json("GET", _path(session)))

    async def create_session(self, name: str, profile: str | None) -> Session:
        """Make a session."""
        wanted = {"name": name, **({"profile": profile} if profile else {})}
        return cast(Session, await self._json("POST", "/v1/sessions", json=wanted))

    async def rename_session(self, session: str, name: str) -> None:
        """Give a session another name."""
        await self._json("PATCH", _path(session), json={"name": name})

    async def delete_session(self, session: str) -> None:
        """Delete a session with all its files."""
        await self._json("DELETE", _path(session))

    async def models(self) -> list[Model]:
        """List the models."""
        return cast(list[Model], await self._json("GET", "/v1/models"))

    async def profiles(self) -> list[Profile]:
        """List the sandbox profiles."""
        return cast(list[Profile], await self._json("GET", "/v1/profiles"))

    async def messages(self, session: str) -> list[dict[str, Any]]:
        """Return the conversation."""
        return cast(list[dict[str, Any]], await self._json("GET", _path(session, "messages")))

    async def ask(
        self, session: str, content: str, attachments: list[str], model: str | None, edits: str | None = None
    ) -> None:
        """Start a turn; with `edits` in place of an earlier question, as a branch beside it.

        The turn runs on in the orchestrator: this returns as soon as it was begun.

        Raises:
            ApiError: it was not begun, because another turn runs or for another reason.
        """
        question: dict[str, Any] = {"content": content, "attachments": attachments}
        question |= {name: value for name, value in (("model", model), ("edits", edits)) if value}
        await self._begin(_path(session, "messages"), question)

    async def regenerate(self, session: str, message: str, model: str | None, *, resume: bool = False) -> None:
        """Start another answer to the same question, or go on with one that broke off; returns and raises as `ask`."""
        wanted: dict[str, Any] = ({"model": model} if model else {}) | ({"resume": True} if resume else {})
        await self._begin(_path(session, "messages", f"{message}/regenerate"), wanted)

    async def show_branch(self, session: str, message: str) -> None:
        """Show the branch of the conversation that has this message."""
        await self._json("POST", _path(session, "messages", f"{message}/show"))

    async def delete_turn(self, session: str, message: str) -> None:
        """Delete a question with its answers."""
        await self._json("DELETE", _path(session, "messages", message))

    async def decide(self, session: str, call: str, decision: str, code: str | None) -> None:
        """Let a cell that waits for approval run (as it is, or with other code), or refuse it."""
        wanted = {"decision": decision, **({"code": code} if code is not None else {})}
        await self._json("POST", _path(session, "approvals", call), json=wanted)

    async def change_session(self, session: str, **changes: Any) -> Session:
        """Change a session's model, approval or instructions."""
        return cast(Session, await self._json("PATCH", _path(session), json=changes))

    async def my_settings(self) -> dict[str, Any]:
        """Return what this person prefers."""
        return cast(dict[str, Any], await self._json("GET", "/v1/me/settings"))

    async def call(self, method: str, path: str, body: Any, query: dict[str, str]) -> Any:
        """Make a call that one of the page's panels asks for; the path is quoted already."""
        told = {} if body is None else {"json": body}
        return await self._json(method, path, params=query, **told)

    async def stop(self, session: str) -> None:
        """Stop the turn that runs, if one does."""
        await self._json("POST", _path(session, "stop"))

    async def files(self, session: str) -> list[FileEntry]:
        """List the workspace."""
        return cast(list[FileEntry], await self._json("GET", _path(session, "files")))

    async def import_notebook(self, name: str, content: AsyncIterator[bytes], length: int | None) -> Session:
        """Make a session of a notebook as it comes in; `length` is its size where that is known."""
        headers = {"Content-Type": "application/x-ipynb+json"}
        headers |= {} if length is None else {"Content-Length": str(length)}
        told = {"params": {"name": name} if name else {}, "headers": headers, "timeout": UPLOAD_TIMEOUT}
        return cast(Session, await self._json("POST", "/v1/sessions/import", content=content, **told))

    async def run_cell(self, session: str, cell: str) -> None:
        """Run a cell again, as one's own at the end of the conversation; returns and raises as `ask` does."""
        await self._begin(_path(session, "cells", f"{cell}/run"), {}, "application/x-ndjson")

    async def run_in_place(self, session: str, cell: str) -> dict[str, Any]:
        """Run a cell again where it is, however long it takes, and return what it came to. Raises ApiError."""
        path = _path(session, "cells", f"{cell}/run")
        how: dict[str, Any] = {"json": {"in_place": True}, "timeout": LONG_TIMEOUT}
        return cast(dict[str, Any], await self._json("POST", path, **how))

    async def put_file(self, session: str, path: str, source: Path) -> None:
        """Write a file, streamed from the disk."""
        headers = {"Content-Length": str(source.stat().st_size), "Content-Type": "application/octet-stream"}
        await self._json("PUT", _path(session, "files", path), content=_chunks(source), headers=headers)

    async def ask_for_room(self, session: str, length: int) -> None:
        """Have a file refused before it is sent, when it would be. Raises ApiError."""
        await self._json("POST", _path(session, "files"), json={"bytes": length})

    async def put_stream(self, session: str, path: str, content: AsyncIterator[bytes], length: int | None) -> Any:
        """Write a file as it comes in; `length` is its size where that is known."""
        headers = {"Content-Type": "application/octet-stream"}
        headers |= {} if length is None else {"Content-Length": str(length)}
        where = _path(session, "files", path)
        return await self._json("PUT", where, content=content, headers=headers, timeout=UPLOAD_TIMEOUT)

    def archive(self, session: str) -> _Stream:
        """Open the whole workspace as an archive for streaming."""
        return self.stream("GET", _path(session, "archive"))

    async def delete_file(self, session: str, path: str) -> None:
        """Delete a file."""
        await self._json("DELETE", _path(session, "files", path))

    def file(self, session: str, path: str, headers: dict[str, str]) -> _Stream:
        """Open a file for streaming; `headers` may hold a Range."""
        return self.stream("GET", _path(session, "files", path), headers=headers)

    def export(self, session: str, form: ExportForm) -> _Stream:
        """Open the conversation as a notebook, a page or Markdown, for streaming."""
        return self.stream("GET", _path(session, "export"), params={"format": form})

    def events(self, session: str, last_id: str | None) -> _Stream:
        """Open the event stream of the turn that runs; its status is 204 when none does."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        return self.stream("GET", _path(session, "events"), headers=headers)

    async def turn_begins(self, session: str, seconds: int) -> bool:
        """Tell whether a turn runs, or begins within so many seconds, as soon as one does. Raises ApiError."""
        headers = {"Accept": "text/event-stream", "Prefer": f"wait={seconds}"}
        async with self.stream("GET", _path(session, "events"), headers=headers) as response:
            return response.status_code != httpx2.codes.NO_CONTENT

    @asynccontextmanager
    async def stream(self, method: str, path: str, **how: Any) -> AsyncIterator[httpx2.Response]:
        """Open a call whose answer is streamed.

        Raises:
            ApiError: the API cannot be reached, or answered with a problem; not for a range that cannot be satisfied.
        """
        try:
            how["headers"] = how.get("headers", {}) | self._who
            async with self._client.stream(method, path, timeout=STREAM_TIMEOUT, **how) as response:
                if response.is_error and response.status_code != httpx2.codes.RANGE_NOT_SATISFIABLE:
                    await response.aread()
                    raise problem(response)
                yield response
        except httpx2.HTTPError as error:
            raise ApiError(words.UNREACHABLE) from error

    async def _begin(self, path: str, question: dict[str, Any], form: str = "text/event-stream") -> None:
        async with self.stream("POST", path, json=question, headers={"Accept": form}) as response:
            # The first event says that the turn is on its way; from there on `events` tells everything, from the start.
            async for _ in response.aiter_bytes(64):
                return

    async def _json(self, method: str, path: str, **how: Any) -> Any:
        try:
            how["headers"] = how.get("headers", {}) | self._who
            response = await self._client.request(method, path, **how)
        except httpx2.HTTPError as error:
            raise ApiError(words.UNREACHABLE) from error
        if response.is_error:
            raise problem(response)
        return response.json() if response.content else None


def problem(response: httpx2.Response) -> ApiError:
    """Read an error's problem document."""
    status = response.status_code
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return ApiError(words.UNREADABLE.format(status=status), "unreadable", status)
    title = str(document.get("title") or "")
    detail = str(document.get("detail") or title or words.UNREADABLE.format(status=status))
    code = str(document.get("code") or "unknown")
    if (known := translated(detail)) is not None:
        return ApiError(known, code, status, title)
    said = words.PROBLEMS.get(code)
    return ApiError(f"{said} ({detail})" if said else detail, code, status, title)


def _path(session: str, kind: str = "", inside: str = "") -> str:
    """Return a session's path; raises when a name would reach beyond it."""
    segments = ["v1", "sessions", session, *([kind] if kind else []), *(inside.split("/") if inside else [])]
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ApiError(words.NO_SUCH_SESSION, "not_found", 404)
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


async def _chunks(source: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(source, "rb") as file:
        while chunk := await file.read(CHUNK_BYTES):
            yield chunk
