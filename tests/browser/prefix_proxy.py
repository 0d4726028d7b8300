"""A reverse proxy as a site would have one: the page lies beneath a prefix, which is taken off on the way to it."""

import os
from collections.abc import AsyncIterator

import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

PREFIX = "/tools/box"
TARGET = os.environ.get("PREFIX_TARGET", "")
_client = httpx2.AsyncClient(base_url=TARGET, timeout=120, trust_env=False)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


async def passed_on(request: Request) -> Response:
    path = request.url.path
    if not path.startswith(f"{PREFIX}/"):
        return PlainTextResponse("another application of this site", 404)
    headers = {name: value for name, value in request.headers.items() if name != "connection"}
    asked = _client.build_request(
        request.method,
        httpx2.URL(raw_path=request.scope["raw_path"].removeprefix(PREFIX.encode()) + _query(request)),
        headers=headers | {"x-forwarded-proto": "http"},
        content=_body(request),
    )
    answer = await _client.send(asked, stream=True)
    told = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
    told.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw]
    return told


def _query(request: Request) -> bytes:
    return b"?" + request.scope["query_string"] if request.scope["query_string"] else b""


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk


app = Starlette(routes=[Route("/{path:path}", passed_on, methods=_METHODS)])
