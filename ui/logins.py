"""The login of a browser: the cookie that carries it, and whether it still counts."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Mapping

from starlette.requests import cookie_parser

from ui.api_client import Api, ApiError

# Over TLS the browser itself keeps the cookie from being set by, or sent to, anybody else (RFC 6265bis, 4.1.3.2).
SECURE, PLAIN = "__Host-glovebox", "glovebox"
_LOGIN = re.compile(r"gbl_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
_LASTS_S = 14 * 24 * 3600
FRESH_S = 1.0
_MODE_FRESH_S = 10.0
# While the API is being restarted, who was just known stays at the page; the API itself still looks at every call.
_BLIND_S = 60.0
_MOST_LOGINS = 10_000


def login_of(headers: Mapping[str, str]) -> str | None:
    """Return the login that a browser brings."""
    cookies = cookie_parser(headers.get("cookie", ""))
    over_tls = headers.get("x-forwarded-proto", "") == "https"
    found = cookies.get(SECURE) or (None if over_tls else cookies.get(PLAIN))
    return found if found and _LOGIN.fullmatch(found) else None


def cookie(login: str, *, secure: bool) -> str:
    """Return a Set-Cookie header that has the browser bring a login; an empty one makes it forget."""
    name, more = (SECURE, "; Secure") if secure else (PLAIN, "")
    return f"{name}={login}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_LASTS_S if login else 0}{more}"


class Logins:
    """What the API says of logins, remembered for a moment."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._mode: tuple[float, str] | None = None
        self._known: OrderedDict[str, float] = OrderedDict()
        self._asking: dict[str, asyncio.Task[bool]] = {}

    async def are_needed(self) -> bool:
        """Tell whether people log in here. Raises ApiError."""
        now = time.monotonic()
        if self._mode is None or now - self._mode[0] > _MODE_FRESH_S:
            self._mode = now, str((await self._api.ways_in())["mode"])
        return self._mode[1] != "one"

    async def count(self, login: str) -> bool:
        """Tell whether a login still counts.

        Raises:
            ApiError: nobody can tell now.

        """
        if time.monotonic() - self._known.get(login, float("-inf")) < FRESH_S:
            return True
        asking = self._asking.get(login)
        if asking is None:
            asking = self._asking[login] = asyncio.create_task(self._ask(login))
            asking.add_done_callback(lambda _: self._asking.pop(login, None))
        return await asyncio.shield(asking)

    def forget(self, login: str) -> None:
        """Ask again at the next look."""
        self._known.pop(login, None)

    async def _ask(self, login: str) -> bool:
        asked_at = time.monotonic()
        try:
            await self._api.of(login).me()
        except ApiError as error:
            if error.status == 401:
                self.forget(login)
                return False
            if asked_at - self._known.get(login, float("-inf")) < _BLIND_S:
                return True
            raise
        self._known.pop(login, None)
        self._known[login] = asked_at
        while len(self._known) > _MOST_LOGINS:
            self._known.popitem(last=False)
        return True
