"""The API's calls that the panels of the page make from the browser, passed on as whoever the browser is.

The list is what the panels need, and no more: the page is no way around the API. Beneath `/api` everything is JSON;
files go through doors of their own, streamed both ways, so that one of any size never rests here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from ui import panel_words, words
from ui.api_client import Api, ApiError
from ui.doors import INERT_ANSWER, INERT_PROBLEM, problem_response, relayed
from ui.logins import Logins

# Instructions are the longest that a panel sends.
BODY_BYTES = 256 * 1024
# In which a browser can read why the file that it sends is not taken.
LINGER_S = 3.0
LARGE_BYTES = 4 * 1024 * 1024
_SESSION = r"sessions/[^/]+"
_NAME = r"[^/]+"
_CALLS: tuple[tuple[str, str], ...] = (
    ("GET", r"me|me/usage|me/keys|models|profiles|tokens|users|admin/sandboxes|sessions"),
    ("GET|PUT", r"me/settings"),
    ("PUT", r"me/password"),
    ("PUT|DELETE", rf"me/keys/{_NAME}"),
    ("POST", r"tokens|users"),
    ("DELETE", rf"tokens/{_NAME}"),
    ("PATCH", rf"users/{_NAME}"),
    ("POST", rf"admin/sandboxes/{_NAME}/stop"),
    ("GET|PATCH", _SESSION),
    ("POST", rf"{_SESSION}/(interrupt|restart|sleep|stop)"),
    ("GET", rf"{_SESSION}/(shares|files)"),
    ("POST", rf"{_SESSION}/files"),
    ("PUT|DELETE", rf"{_SESSION}/shares/{_NAME}"),
    ("DELETE", rf"{_SESSION}/files/.+"),
    ("POST", rf"{_SESSION}/files/.+/(rename|undo)"),
)
_ALLOWED = [(re.compile(methods), re.compile(path)) for methods, path in _CALLS]


def allowed(method: str, path: str) -> bool:
    """Tell whether the panels may make this call."""
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        return False
    return any(methods.fullmatch(method) and calls.fullmatch(path) for methods, calls in _ALLOWED)


def relay(logins: Logins) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], response_model=None)
    async def call(path: str, request: Request) -> Response:
        if not allowed(request.method, path):
            return problem_response(ApiError(words.NOT_FOUND, "not_found", HTTPStatus.NOT_FOUND), INERT_ANSWER)
        try:
            body = await read_json(request)
            told = await logins.api_for(request.headers).call(
                request.method, f"/v1/{quote(path)}", body, dict(request.query_params)
            )
        except ApiError as error:
            # A wrong password is no login that ended, for which the page would ask.
            if error.status == HTTPStatus.UNAUTHORIZED and error.code != "unauthorized":
                error.status = HTTPStatus.BAD_REQUEST
            return problem_response(error, INERT_ANSWER)
        if told is None:
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=INERT_ANSWER)
        return JSONResponse(told, headers=INERT_ANSWER)

    _add_files(router, logins)
    return router


def _add_files(router: APIRouter, logins: Logins) -> None:
    @router.put("/files/{session}/{path:path}", response_model=None)
    async def upload(session: str, path: str, request: Request) -> Response:
        said = request.headers.get("content-length", "")
        length = int(said) if said.isdecimal() else None
        theirs = logins.api_for(request.headers)
        try:
            stored = await _sent(theirs, session, path, request, length)
        except ApiError as error:
            refusal = problem_response(error, INERT_ANSWER)
            return refusal if length is not None and length < LARGE_BYTES else _BeforeTheEnd(refusal)
        except ClientDisconnect:
            # Nobody is there any more who could read this; the API keeps nothing of half a file.
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return JSONResponse(stored, headers=INERT_ANSWER)

    @router.post("/import", response_model=None)
    async def import_(request: Request, name: str = "") -> Response:
        length = request.headers.get("content-length", "")
        theirs: Api = logins.api_for(request.headers)
        try:
            made = await theirs.import_notebook(name, _chunks(request), int(length) if length.isdecimal() else None)
        except ApiError as error:
            return problem_response(error, INERT_ANSWER)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        return JSONResponse({"id": made["id"]}, headers=INERT_ANSWER)

    _add_archive(router, logins)


async def _sent(theirs: Api, session: str, path: str, request: Request, length: int | None) -> Any:
    """Pass a file on. Whether a large one may come is asked: an answer to what is half sent gets lost on the way."""
    if length is None or length < LARGE_BYTES:
        return await theirs.put_stream(session, path, _chunks(request), length)
    await theirs.ask_for_room(session, length)
    try:
        return await theirs.put_stream(session, path, _chunks(request), length)
    except ApiError as error:
        if error.code == "unreachable":
            await theirs.ask_for_room(session, length)
        raise


def _add_archive(router: APIRouter, logins: Logins) -> None:
    @router.get("/archive/{session}", response_model=None)
    async def archive(session: str, request: Request) -> Response:
        theirs: Api = logins.api_for(request.headers)
        try:
            name = (await theirs.session(session))["name"]
            return await relayed(theirs.archive(session), f"{name or words.UNNAMED}.zip")
        except ApiError as error:
            return problem_response(error, INERT_PROBLEM)


class _BeforeTheEnd(Response):
    """A refusal while a file is still being sent: said at once, and soon after that nothing more is taken."""

    def __init__(self, refusal: Response) -> None:
        super().__init__(refusal.body, refusal.status_code, dict(refusal.headers) | {"connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and take what comes for a moment: a connection that is closed at once loses the answer, too."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


async def read_json(request: Request) -> object:
    """Return the JSON that came with a call.

    Raises:
        ApiError: it is none, or more than a panel ever sends.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > BODY_BYTES:
            raise ApiError(panel_words.TOO_LONG, "body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if not content:
        return None
    try:
        found: object = json.loads(content)
    except ValueError as error:
        raise ApiError(panel_words.NO_JSON, "bad_request", HTTPStatus.BAD_REQUEST) from error
    return found


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
