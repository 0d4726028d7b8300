"""A fake provider over real HTTP, which can be told to misbehave in every way that real ones do.

    with running_provider() as provider:
        provider.will(says("Hello."), status(429, retry_after=0.01), ...)

Each request takes the next act, and the last act again and again. `provider.requests` has what was asked.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ABOUT = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, "model": "fake"}
USAGE = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Asked:
    """A request as the provider got it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Act:
    """One answer: an error at once, or a stream of pieces, which may end in an accident."""

    pieces: Sequence[bytes | float] = ()  # a number: seconds to wait
    http_status: int = 200
    error: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False  # the connection is cut instead of ended
    endless: bytes = b""  # sent for ever after the pieces
    media_type: str = "text/event-stream"


Acting = Act | Callable[[Asked], Act]


@dataclass
class FakeProvider:
    """A provider that runs; what it was asked, and how many of its streams were left before their end."""

    url: str
    requests: list[Asked] = field(default_factory=list)
    left: int = 0
    acts: list[Acting] = field(default_factory=list)

    def will(self, *acts: Acting) -> None:
        """Answer the next requests so, and forget what was."""
        self.acts[:] = acts
        self.requests.clear()
        self.left = 0

    def next_act(self, asked: Asked) -> Act:
        self.requests.append(asked)
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        return act(asked) if callable(act) else act


def event(chunk: Any) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return event({**ABOUT, "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def usage(**told: Any) -> bytes:
    return event({**ABOUT, "choices": [], "usage": {**USAGE, **told}})


def call(code: str, index: int | None = 0, name: str = "run_python", call_id: str | None = "call_1") -> dict[str, Any]:
    return raw_call(json.dumps({"code": code}), index, name, call_id)


def raw_call(
    arguments: str, index: int | None = 0, name: str = "run_python", call_id: str | None = "call_1"
) -> dict[str, Any]:
    made: dict[str, Any] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return made if index is None else {"index": index, **made}


def in_pieces(one: dict[str, Any], size: int = 7) -> list[bytes]:
    """Return a call as OpenAI streams it: first its name, then its arguments, cut anywhere."""
    arguments = one["function"]["arguments"]
    first = {**one, "function": {"name": one["function"]["name"], "arguments": ""}}
    rest = [arguments[start : start + size] for start in range(0, len(arguments), size)]
    index = {"index": one["index"]} if "index" in one else {}
    return [delta(tool_calls=[first]), *(delta(tool_calls=[{**index, "function": {"arguments": a}}]) for a in rest)]


def words(text: str) -> list[bytes]:
    return [delta(content=word) for word in text.split(" ") for word in (word, " ")][:-1] if text else []


def says(text: str, *calls: dict[str, Any], finish: str | None = None, counted: bool = True) -> Act:
    """Answer as OpenAI does: text word by word, calls in pieces, a reason, the usage, and [DONE]."""
    streamed = [delta(role="assistant", content=""), *words(text)]
    for one in calls:
        streamed += in_pieces(one)
    streamed.append(delta(finish or ("tool_calls" if calls else "stop")))
    return Act((*streamed, *((usage(),) if counted else ()), DONE))


def stream(*pieces: bytes | float, **accident: Any) -> Act:
    return Act(pieces, **accident)


def status(code: int, error: Any = None, **headers: Any) -> Act:
    """Answer with an error; headers' names may have underscores."""
    told = error if error is not None else {"message": f"This is a {code}.", "type": "fake", "code": None}
    body = told if isinstance(told, dict) and "detail" in told else {"error": told}
    return Act(http_status=code, error=body, headers={n.replace("_", "-"): str(v) for n, v in headers.items()})


@contextmanager
def running_provider(certificate: Path | None = None) -> Iterator[FakeProvider]:
    """Run a provider in a thread of its own; with a certificate (and its key in the same file), over TLS."""
    provider = FakeProvider("")
    app = Starlette(routes=[Route("/{path:path}", _answerer(provider), methods=["POST"])])
    config = uvicorn.Config(
        app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, ssl_certfile=certificate
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="fake provider", daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until and thread.is_alive(), "the fake provider did not start"
        time.sleep(0.01)
    scheme = "http" if certificate is None else "https"
    provider.url = f"{scheme}://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.should_exit = server.force_exit = True
        thread.join(30)


def _answerer(provider: FakeProvider) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        asked = Asked(request.url.path, dict(request.query_params), dict(request.headers), await request.json())
        act = provider.next_act(asked)
        if act.error is not None:
            return JSONResponse(act.error, act.http_status, act.headers)
        return StreamingResponse(_play(provider, act), act.http_status, act.headers, act.media_type)

    return answer


async def _play(provider: FakeProvider, act: Act) -> AsyncIterator[bytes]:
    ended = False
    try:
        for piece in act.pieces:
            if isinstance(piece, bytes):
                yield piece
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(piece)
        while act.endless:
            yield act.endless
            await asyncio.sleep(0)
        ended = True
    finally:
        provider.left += not ended
    if act.breaks:
        raise ConnectionAbortedError("as it was told to")
