"""Who may ask the page anything, and what a browser is told about every answer.

In a team, everybody logs in, and the page acts as whoever did. Where there is no team it acts with the orchestrator's
token, so whoever opens it must know that token (HTTP Basic). A request must come from the page itself: the `Host` must
be one of ours (DNS rebinding), and other sites may do no more than link here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from hmac import compare_digest
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import words
from ui.api_client import ApiError
from ui.login_doors import CALLBACK_PATH, LOGIN_PATH, LOGOUT_PATH, to_login
from ui.login_page import SSO_PATH
from ui.logins import FRESH_S, Logins

# Gradio starts itself from an inline script and compiles its `js=` snippets, hence the two unsafe words. Nothing is
# loaded from, sent to or framed by any other origin.
PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: a form that is sent from such a page has the origin `null`, as if it came from elsewhere.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
}

_OPEN_PATHS = frozenset({"/healthz"})
_LOGIN_PATHS = frozenset({LOGIN_PATH, SSO_PATH, CALLBACK_PATH, LOGOUT_PATH})
# Where links of other sites, and a provider of single sign-on, may lead to.
_LINKED_PATHS = frozenset({"/", LOGIN_PATH, CALLBACK_PATH})
# Whoever asks for one of these without a login is a person, and is led to the login page.
_PAGES = frozenset({"/", "/admin"})
_ENDING_S = 5.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.IGNORECASE)
# Gradio fetches addresses for its clients: nothing here needs it, so nobody gets it.
_FETCHES = re.compile(r"/(?:gradio_api/)?(?:proxy=|file=\s*/*\w+:)", re.IGNORECASE)


def allowed_host(hosts: list[str], allowed: frozenset[str]) -> bool:
    """Tell whether a request's Host headers name this page."""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return found is not None and found["name"].lower() in allowed


def from_here(method: str, path: str, headers: Headers) -> bool:
    """Tell whether a request comes from the page itself, or is a plain link to it that somebody followed."""
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    host = headers.get("host", "").lower()
    # TLS may end before us: both schemes are our own. Who sends neither header is no browser, and brings no authority.
    if any(origin not in {f"http://{host}", f"https://{host}"} for origin in origins):
        return False
    if method not in _SAFE_METHODS:
        return all(site == "same-origin" for site in sites)
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return all(site in {"same-origin", "none"} for site in sites) or (
        followed and path in {"/", LOGIN_PATH, CALLBACK_PATH}
    )


def knows_token(authorization: str | None, token: str | None) -> bool:
    """Tell whether a browser's HTTP Basic password (any user name) is the token; without a token nobody is asked."""
    if token is None:
        return True
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        password = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except ValueError:
        return False
    return compare_digest(password, token.encode())


class Guards:
    """ASGI middleware: refuses foreign requests and strangers, adds the security headers to every answer."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: frozenset[str],
        token: str | None = None,
        logins: Logins | None = None,
        *,
        reached_by_others: bool = False,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._token = token
        self._logins = logins
        self._reached_by_others = reached_by_others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # The page has no WebSocket, whoever asks.
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        if not allowed_host(headers.getlist("host"), self._hosts):
            await _refuse(send, 421, words.FORBIDDEN_HOST)
        elif not from_here(scope["method"], scope["path"], headers):
            await _refuse(send, 403, words.FORBIDDEN_ORIGIN)
        elif _FETCHES.match(scope["path"]):
            await _refuse(send, 404, words.NOT_FOUND)
        elif scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, _with_headers(send))
        else:
            await self._for_whoever_may(scope, headers, receive, send)

    async def _for_whoever_may(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            logins = self._logins if self._logins is not None and await self._logins.are_needed() else None
            if logins is None:
                await self._for_the_one(scope, headers, receive, send)
            elif scope["path"] in _LOGIN_PATHS:
                await self._app(scope, receive, _with_headers(send))
            elif (who := logins.who(headers)) and await logins.count(who):
                await self._as_long_as_it_counts(logins, who, scope, receive, _with_headers(send))
            else:
                await _send_to_login(scope, send, "ended" if who else "")
        except ApiError as error:
            await _refuse(send, error.status if error.status == 403 else 503, error.detail)

    async def _for_the_one(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if self._token is None and self._reached_by_others:
            await _refuse(send, 403, words.OPEN_TO_OTHERS)
        elif not knows_token(headers.get("authorization"), self._token):
            basic = {"www-authenticate": 'Basic realm="Glovebox", charset="UTF-8"'}
            await _refuse(send, 401, words.LOGIN_NEEDED, basic)
        else:
            await self._app(scope, receive, _with_headers(send))

    async def _as_long_as_it_counts(
        self, logins: Logins, who: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass on; what lasts is ended when the login is."""
        answer = Answer(send)
        running = asyncio.ensure_future(self._app(scope, receive, answer.send))
        try:
            while not (await asyncio.wait({running}, timeout=FRESH_S))[0]:
                try:
                    still = await logins.count(who)
                except ApiError as error:
                    still = error.status != 403  # else nobody can tell now, and nothing can be asked of the API either
                if not still:
                    running.cancel()
                    await asyncio.wait({running}, timeout=_ENDING_S)
                    await answer.end()
                    return
            running.result()
        finally:
            running.cancel()


class Answer:
    """An answer on its way, which can be ended in the middle."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = self._ended = False

    async def send(self, message: Message) -> None:
        """Pass a message on, until the end."""
        if self._ended:
            return
        self._begun = True
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def end(self) -> None:
        """End it now: with a refusal where it has not begun."""
        if self._ended:
            return
        self._ended = True
        if self._begun:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await _refuse(self._send, 401, words.LOGIN_ENDED)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # Gradio allows some other origins to read; nobody may.
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _send_to_login(scope: Scope, send: Send, why: str) -> None:
    """Lead a person to the login page; tell a script that there is one."""
    if scope["method"] not in {"GET", "HEAD"} or scope["path"] not in _PAGES:
        await _refuse(send, 401, words.LOGIN_ENDED)
        return
    query = {name.decode("latin-1"): value.decode("latin-1") for name, value in parse_qsl(scope["query_string"])}
    headers = {"location": to_login(scope["path"], query, why), "cache-control": "no-store", "content-length": "0"}
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers | SECURITY_HEADERS).items()]
    await send({"type": "http.response.start", "status": 303, "headers": raw})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, status: int, detail: str, more_headers: dict[str, str] | None = None) -> None:
    content = json.dumps({"title": "Refused", "status": status, "detail": detail}).encode()
    headers = {"content-type": "application/problem+json", "content-length": str(len(content))}
    headers |= SECURITY_HEADERS | (more_headers or {})
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
