"""The routes beside Gradio's: files and the notebook out of the API, streamed; pictures and frames off the shelf."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from urllib.parse import quote

import httpx2
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from ui import words
from ui.api_client import ApiError, ExportForm
from ui.frames import document, policy
from ui.logins import Logins
from ui.shelf import FRAMED, MEDIA_TYPES, PAPER, Shelf

# A download is data: whatever it contains, it can do nothing in the page's origin.
INERT_POLICY = "sandbox; default-src 'none'"
# The browser's own viewer shows a PDF, in a process and an origin of its own; a sandbox around it would turn it off.
PAPER_POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'"
# A picture may style itself (SVG does), and nothing else.
PICTURE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
INERT = {"Content-Security-Policy": INERT_POLICY, "Cache-Control": "private, no-cache"}
# What is told of a call is not kept either.
INERT_ANSWER = INERT | {"Cache-Control": "no-store"}

_PASSED_ON = ("range", "if-range", "if-none-match", "if-modified-since")
_PASSED_BACK = (
    "accept-ranges",
    "content-length",
    "content-range",
    "content-type",
    "content-encoding",
    "etag",
    "last-modified",
)
_PLAIN = re.compile(r"[^A-Za-z0-9 ._()\[\]-]")
_IMMUTABLE = "private, max-age=31536000, immutable"
# Not for ever: our scripts in it change with a new version.
_FRAME_CACHE = "private, max-age=3600"


def attachment(name: str) -> str:
    """Return a Content-Disposition that saves under this name, in RFC 5987 for what is not ASCII."""
    clean = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name).strip() or "download"
    return f"attachment; filename=\"{_PLAIN.sub('_', clean)}\"; filename*=UTF-8''{quote(clean, safe='')}"


# An error says why in a file, too: nothing beneath these addresses is ever a page.
INERT_PROBLEM = INERT | {"Content-Disposition": attachment("problem.json")}


def doors(logins: Logins, shelf: Shelf) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    _add_downloads(router, logins)
    _add_shown(router, shelf)
    _add_papers(router, logins, shelf)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return router


def _add_downloads(router: APIRouter, logins: Logins) -> None:
    @router.get("/files/{session}/{path:path}")
    async def file(session: str, path: str, request: Request) -> Response:
        asked = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            opened = logins.api_for(request.headers).file(session, path, {"accept-encoding": "identity", **asked})
        except ApiError as error:
            return problem_response(error, INERT_PROBLEM)
        return await relayed(opened, path.rsplit("/", 1)[-1])

    @router.get("/export/{session}")
    async def export(session: str, request: Request, form: ExportForm = "ipynb") -> Response:
        theirs = logins.api_for(request.headers)
        try:
            name = (await theirs.session(session))["name"]
            return await relayed(theirs.export(session, form), f"{name or words.UNNAMED}.{form}")
        except ApiError as error:
            return problem_response(error, INERT_PROBLEM)


def _add_shown(router: APIRouter, shelf: Shelf) -> None:
    @router.get("/pictures/{name}")
    async def picture(name: str) -> Response:
        path = shelf.find(name)
        if path is None or _kind(name) not in MEDIA_TYPES:
            return _nothing()
        headers = {"Content-Security-Policy": PICTURE_POLICY, "Cache-Control": _IMMUTABLE}
        return FileResponse(path, headers=headers, media_type=MEDIA_TYPES[_kind(name)])

    @router.get("/frames/{name}")
    async def frame(name: str, request: Request) -> Response:
        path = shelf.find(name)
        if path is None or _kind(name) not in FRAMED:
            return _nothing()
        content = await asyncio.to_thread(lambda: document(_kind(name), path.read_text(encoding="utf-8")))
        headers = {"Content-Security-Policy": policy(_kind(name)), "Cache-Control": _FRAME_CACHE}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")


def _add_papers(router: APIRouter, logins: Logins, shelf: Shelf) -> None:
    @router.get("/papers/{name}")
    async def shown(name: str) -> Response:
        path = shelf.find(name)
        if path is None or _kind(name) != PAPER:
            return _nothing()
        return FileResponse(path, headers=_paper_headers("output.pdf"), media_type="application/pdf")

    @router.get("/papers/{session}/{path:path}")
    async def of_workspace(session: str, path: str, request: Request) -> Response:
        stack = AsyncExitStack()
        try:
            opened = logins.api_for(request.headers).file(session, path, {"accept-encoding": "identity"})
            upstream = await stack.enter_async_context(opened)
            body = upstream.aiter_raw()
            beginning = await anext(body, b"")
        except ApiError as error:
            return problem_response(error, INERT)
        if not beginning.startswith(b"%PDF-"):
            await stack.aclose()
            return problem_response(ApiError(words.NO_PDF, "no_pdf", 415), INERT)

        async def everything() -> AsyncIterator[bytes]:
            async with stack:
                yield beginning
                async for chunk in body:
                    yield chunk

        headers = _paper_headers(path.rsplit("/", 1)[-1])
        return StreamingResponse(everything(), headers=headers, media_type="application/pdf")


def _paper_headers(name: str) -> dict[str, str]:
    inline = attachment(name).replace("attachment", "inline", 1)
    return {
        "Content-Security-Policy": PAPER_POLICY,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": inline,
    }


def problem_response(error: ApiError, headers: dict[str, str] | None = None) -> Response:
    """Answer with the API's own words."""
    status = error.status or 502
    problem = {"title": error.title or error.detail, "status": status, "detail": error.detail, "code": error.code}
    return JSONResponse(problem, status, headers, media_type="application/problem+json")


async def relayed(opened: AbstractAsyncContextManager[httpx2.Response], name: str) -> Response:
    """Pass a download on under a name, as data."""
    stack = AsyncExitStack()
    try:
        upstream = await stack.enter_async_context(opened)
    except ApiError as error:
        return problem_response(error, INERT_PROBLEM)
    headers = {header: upstream.headers[header] for header in _PASSED_BACK if header in upstream.headers}
    headers |= INERT | {"Content-Disposition": attachment(name)}
    return StreamingResponse(_body(upstream, stack), upstream.status_code, headers)


async def _body(upstream: httpx2.Response, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in upstream.aiter_raw():
            yield chunk


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _nothing() -> Response:
    return problem_response(ApiError(words.NOT_FOUND, "not_found", 404))
