"""Every request is answered in its reader's language."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ui import languages


class InLanguage:
    """ASGI middleware: speaks what a request wants, until it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http":
            languages.speak(languages.wanted(Headers(scope=scope)))
        await self._app(scope, receive, send)
