"""Where the page's own addresses begin: at the root of its host, or behind a reverse proxy beneath a prefix."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_prefix = ""


def set_prefix(prefix: str) -> None:
    """Say once, at the start of the process, where everything begins."""
    global _prefix
    _prefix = prefix


def at(path: str) -> str:
    """Return the address of one of the page's own paths, as a browser must ask for it."""
    return _prefix + path


def read_prefix(text: str) -> str:
    """Return a prefix without a slash at its end.

    Raises:
        ValueError: it is none.
    """
    prefix = text.strip().rstrip("/")
    if not _PREFIX.fullmatch(prefix) or "/." in prefix:
        raise ValueError(f"GLOVEBOX_UI_ROOT_PATH is {text!r}; expected a path like '/glovebox'.")
    return prefix


class Beneath:
    """ASGI middleware: takes the prefix off a request's path, for a proxy that leaves it there (others take it off)."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        path = str(scope.get("path", ""))
        if not self._prefix or not (path == self._prefix or path.startswith(f"{self._prefix}/")):
            await self._app(scope, receive, send)
        elif path == self._prefix and scope["type"] == "http":
            # Without the slash, what the page names relative to itself would be looked for beside the prefix.
            there = f"{self._prefix}/".encode()
            await send({"type": "http.response.start", "status": 308, "headers": [(b"location", there)]})
            await send({"type": "http.response.body", "body": b""})
        else:
            raw = scope.get("raw_path") or path.encode()
            shorter = {"path": path[len(self._prefix) :], "raw_path": raw.removeprefix(self._prefix.encode())}
            await self._app({**scope, **shorter}, receive, send)
