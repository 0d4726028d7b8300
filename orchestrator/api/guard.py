"""Who may come in at all: host names, origins, and who is asking, checked before any route (THREATS U2, W1 to W4).

One piece in front of everything, WebSockets included, so that no route can be forgotten. Nothing here is for pages of
other sites, not even to look at: where no token is asked for (one person on one machine) a browser's request is all it
takes.
"""

import json
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from orchestrator.api.identity import Door
from orchestrator.api.refusals import note_refusal
from orchestrator.errors import Forbidden, GloveboxError, Unauthorized
from orchestrator.people.service import Caller
from orchestrator.store.audit import ANONYMOUS

_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/v1/login", "/v1/login/sso", "/v1/login/sso/finish"})
_OWN_SITE = frozenset({"same-origin", "none"})
# Whatever an answer holds: no browser makes a page of it, frames it or hands it to another site's page (W6, W9).
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_AS_SENT = tuple((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items())
_AS_SENT_SAVED = (*_AS_SENT, (b"content-disposition", b"attachment"))
# What is answered here is saved and never shown, be it only why there is nothing.
_SAVED = re.compile(r"/v1/sessions/[^/]+/(?:files/|export$|archive$)")
_ALWAYS_ALLOWED = ("127.0.0.1", "localhost", "[::1]", "orchestrator")


class Guard:
    """ASGI middleware that refuses what should never reach a route."""

    def __init__(self, app: ASGIApp, door: Door, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._door = door
        self._hosts = frozenset(name.lower() for name in (*_ALWAYS_ALLOWED, *allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        send = _with_headers(send, scope["path"])
        try:
            caller = await self.admit(scope["path"], headers)
        except GloveboxError as error:
            note_refusal(scope, ANONYMOUS, error.as_problem())
            await refuse(scope, send, error)
            return
        if caller is not None:
            scope.setdefault("state", {})["caller"] = caller
            bind_contextvars(user=caller.person.id)
        await self._app(scope, receive, send)

    async def admit(self, path: str, headers: list[tuple[str, str]]) -> Caller | None:
        """Return who asks; None on the few paths that are for everybody.

        Raises:
            Forbidden: the request names another host, or is another site's.
            Unauthorized: it presents nothing that counts.

        """
        if (error := _foreign(headers, self._hosts)) is not None:
            raise error
        return None if path in _OPEN_PATHS else await self._door.admit(headers)


def _foreign(headers: list[tuple[str, str]], hosts: frozenset[str]) -> Forbidden | None:
    host_headers = [value for name, value in headers if name == "host"]
    if len(host_headers) != 1 or _host_name(host_headers[0]) not in hosts:
        return Forbidden("This host name is not one of this server's; see server.allowed_hosts.", code="wrong_host")
    # TLS may end before us: both schemes are our own.
    own = {"origin": {f"http://{host_headers[0]}", f"https://{host_headers[0]}"}, "sec-fetch-site": _OWN_SITE}
    if any(value not in own[name] for name, value in headers if name in own):
        return Forbidden("Pages of other sites may ask this server for nothing.", code="wrong_origin")
    return None


def _host_name(value: str) -> str:
    """Return the name in a Host header, without its port; nothing is forgiven."""
    name, colon, port = value.rpartition(":")
    if colon and port.isdecimal() and (not name.startswith("[") or name.endswith("]")):
        return name.lower()
    return value.lower()


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            wanted = _AS_SENT if _SAVED.match(path) is None else _AS_SENT_SAVED
            message["headers"] = [*message["headers"], *(pair for pair in wanted if pair[0] not in given)]
        await send(message)

    return sending


async def refuse(scope: Scope, send: Send, error: GloveboxError) -> None:
    """Answer a request, or the opening of a WebSocket, with an error."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    body = json.dumps(error.as_problem()).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": int(error.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
