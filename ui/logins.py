"""The login of a browser: the cookie that carries it, and whether it still counts."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from ui.api_client import Api, ApiError

# Over TLS the browser itself keeps the cookie from being set by, or sent to, anybody else (RFC 6265bis, 4.1.3.2).
SECURE, PLAIN = "__Host-glovebox", "glovebox"
_Key = tuple[tuple[str, str], ...]
_LOGIN = re.compile(r"gbl_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
_FLOW_S = 600
_LASTS_S = 14 * 24 * 3600
FRESH_S = 1.0
_WAYS_FRESH_S = 10.0
# While the API is being restarted, who was just known stays at the page; the API itself still looks at every call.
_BLIND_S = 60.0
_MOST_LOGINS = 10_000


def login_of(headers: Mapping[str, str]) -> str | None:
    """Return the login that a browser brings."""
    cookies = cookie_parser(headers.get("cookie", ""))
    over_tls = headers.get("x-forwarded-proto", "") == "https"
    found = cookies.get(SECURE) or (None if over_tls else cookies.get(PLAIN))
    return found if found and _LOGIN.fullmatch(found) else None


def bearer(login: str) -> dict[str, str]:
    """Return the header that speaks for whoever has this login."""
    return {"Authorization": f"Bearer {login}"}


def cookie(login: str, *, secure: bool) -> str:
    """Return a Set-Cookie header that has the browser bring a login; an empty one makes it forget."""
    name, more = (SECURE, "; Secure") if secure else (PLAIN, "")
    return f"{name}={login}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_LASTS_S if login else 0}{more}"


def flow_cookie(flow: str, *, secure: bool) -> str:
    """Return a Set-Cookie header for the time at a provider of single sign-on; it comes along on the way back."""
    name, more = (SECURE, "; Secure") if secure else (PLAIN, "")
    return f"{name}-flow={flow}; Path=/; HttpOnly; SameSite=Lax; Max-Age={_FLOW_S if flow else 0}{more}"


def flow_of(headers: Mapping[str, str]) -> tuple[str, bool]:
    """Return what a browser kept while it was at a provider, and whether over TLS."""
    cookies = cookie_parser(headers.get("cookie", ""))
    kept = cookies.get(f"{SECURE}-flow")
    return (kept, True) if kept else (cookies.get(f"{PLAIN}-flow", ""), False)


class Logins:
    """Who a browser is, and what the API says of that, remembered for a moment."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ways: tuple[float, dict[str, Any]] | None = None
        self._known: OrderedDict[_Key, float] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[bool]] = {}

    async def are_needed(self) -> bool:
        """Tell whether people log in here. Raises ApiError."""
        return str((await self._now())["mode"]) != "one"

    async def sso(self) -> bool:
        """Tell whether there is a provider of single sign-on. Raises ApiError."""
        return bool((await self._now()).get("sso"))

    def who(self, headers: Headers) -> dict[str, str]:
        """Return what speaks for a browser: what a proxy says of it, else its login; nothing for nobody.

        It is passed on to the API, which alone decides whom it stands for.
        """
        names = self._ways[1].get("proxy_headers") or [] if self._ways else []
        told = {name: headers.getlist(name) for name in names if name in headers}
        if told:
            # Of two, one is not the proxy's: nobody can tell which.
            return {name: values[0] for name, values in told.items()} if max(map(len, told.values())) == 1 else {}
        login = login_of(headers)
        return bearer(login) if login else {}

    def api_for(self, headers: Headers) -> Api:
        """Return the API as whoever a browser is."""
        return self._api.of(self.who(headers))

    async def count(self, who: Mapping[str, str]) -> bool:
        """Tell whether what speaks for a browser still counts.

        Raises:
            ApiError: nobody can tell now, or it counts, and is of somebody who may not come in here.

        """
        key = tuple(sorted(who.items()))
        if time.monotonic() - self._known.get(key, float("-inf")) < FRESH_S:
            return True
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    def forget(self, who: Mapping[str, str]) -> None:
        """Ask again at the next look."""
        self._known.pop(tuple(sorted(who.items())), None)

    async def _now(self) -> dict[str, Any]:
        now = time.monotonic()
        if self._ways is None or now - self._ways[0] > _WAYS_FRESH_S:
            try:
                self._ways = now, await self._api.ways_in()
            except ApiError:
                if self._ways is None or now - self._ways[0] > _BLIND_S:
                    raise
        return self._ways[1]

    async def _ask(self, key: _Key) -> bool:
        asked_at = time.monotonic()
        try:
            await self._api.of(dict(key)).me()
        except ApiError as error:
            if 400 <= error.status < 500:
                self._known.pop(key, None)
            if error.status == 401:
                return False
            if asked_at - self._known.get(key, float("-inf")) < _BLIND_S:
                return True
            raise
        self._known.pop(key, None)
        self._known[key] = asked_at
        while len(self._known) > _MOST_LOGINS:
            self._known.popitem(last=False)
        return True
