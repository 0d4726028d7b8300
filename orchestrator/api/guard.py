"""Who may come in at all: host names, origins and the bearer token, checked before any route (THREATS W1 to W4).

One piece in front of everything, WebSockets included, so that no route can be forgotten. Nothing here is for pages of
other sites, not even to look at: where no token is asked for (one person on one machine) a browser's request is all it
takes.
"""

import json
import re
from collections.abc import Iterable
from hmac import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.refusals import note_refusal
from orchestrator.errors import Forbidden, GloveboxError, Unauthorized
from orchestrator.store.audit import ANONYMOUS

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_OWN_SITE = frozenset({"same-origin", "none"})
# Whatever an answer holds: no browser makes a page of it, frames it or hands it to another site's page (W6, W9).
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
# What is answered here is saved and never shown, be it only why there is nothing.
_SAVED = re.compile(r"/v1/sessions/[^/]+/(?:files/|export$)")
_ALWAYS_ALLOWED = ("127.0.0.1", "localhost", "[::1]", "orchestrator")


class Guard:
    """ASGI middleware that refuses what should never reach a route."""

    def __init__(self, app: ASGIApp, token: str | None, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(name.lower() for name in (*_ALWAYS_ALLOWED, *allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        error = refusal(scope["path"], headers, self._hosts, self._token)
        send = _with_headers(send, scope["path"])
        if error is None:
            await self._app(scope, receive, send)
            return
        note_refusal(scope, ANONYMOUS, error.as_problem())
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        else:
            await _refuse(send, error)


def refusal(
    path: str, headers: list[tuple[str, str]], hosts: frozenset[str], token: str | None
) -> GloveboxError | None:
    """Return why a request is refused, or None."""
    host_headers = [value for name, value in headers if name == "host"]
    if len(host_headers) != 1 or _host_name(host_headers[0]) not in hosts:
        return Forbidden("This host name is not one of this server's; see server.allowed_hosts.", code="wrong_host")
    # TLS may end before us: both schemes are our own.
    own = {"origin": {f"http://{host_headers[0]}", f"https://{host_headers[0]}"}, "sec-fetch-site": _OWN_SITE}
    if any(value not in own[name] for name, value in headers if name in own):
        return Forbidden("Pages of other sites may ask this server for nothing.", code="wrong_origin")
    if token is None or path in _OPEN_PATHS:
        return None
    scheme, _, presented = dict(headers).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not compare_digest(presented.strip().encode(), token.encode()):
        return Unauthorized("Send the header 'Authorization: Bearer <token>' with this server's token.")
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
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if _SAVED.match(path):
                headers.setdefault("Content-Disposition", "attachment")
        await send(message)

    return sending


async def _refuse(send: Send, error: GloveboxError) -> None:
    body = json.dumps(error.as_problem()).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": int(error.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
