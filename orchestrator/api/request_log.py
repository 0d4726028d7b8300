"""One line of log, one count and one span for each request, and an id that all lines about it bear.

What is told is the route's template and never the path: that has session ids and names of files in it. Bodies, headers
and queries are not looked at, but for the request's id.
"""

import os
import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars, unbind_contextvars

from orchestrator.metrics import HTTP_REQUESTS, HTTP_TIMES
from orchestrator.tracing import describe, span

log = structlog.get_logger()
REQUEST_ID = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_NO_ROUTE = "(none)"
_ASKED_ALL_THE_TIME = frozenset({"/healthz", "/readyz", "/metrics"})
_BOUND_ON_THE_WAY = ("user", "session")
_WEBSOCKET = "WEBSOCKET"
_GONE = 499  # nothing was answered: the client went away first


class RequestLog:
    """ASGI middleware around everything, what answers unexpected errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note how it went."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _sent_id(scope) or os.urandom(16).hex()
        answer = _Answer(request_id, send)
        began = time.perf_counter()
        with bound_contextvars(request_id=request_id), span("request", request_id=request_id):
            try:
                await self._app(scope, receive, answer.send)
            finally:
                _note(scope, answer.status, time.perf_counter() - began)
                unbind_contextvars(*_BOUND_ON_THE_WAY)


class _Answer:
    """Sends an answer on, with the request's id in it, and remembers its status."""

    def __init__(self, request_id: str, send: Send) -> None:
        self.status = _GONE
        self._request_id = request_id
        self._send = send

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self.status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
            case "websocket.accept":
                self.status = 101
                MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
            case "websocket.close" if self.status == _GONE:
                self.status = 403
        await self._send(message)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", _NO_ROUTE)
    method = scope.get("method", _WEBSOCKET)
    HTTP_REQUESTS.count(route, method, str(status))
    if method != _WEBSOCKET:  # how long one stays open says nothing about how quick we are
        HTTP_TIMES.observe(route, seconds)
    describe(f"{method} {route}", route=route, method=method, status=status)
    if route in _ASKED_ALL_THE_TIME and status < 400:
        return
    log.info("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


def _sent_id(scope: Scope) -> str | None:
    """Return the id that the client gave the request, if it is one that can stand in a log."""
    sent = Headers(scope=scope).get(REQUEST_ID, "")
    return sent if _SANE.fullmatch(sent) else None
