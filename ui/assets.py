"""Gradio's bundles and our own scripts as browsers get them: packed once, kept for ever, and told of beforehand.

Gradio compresses each file again for each browser, and names it only when the file before it has run: on a small host
that was most of the time until the page could be used. The names of its bundles, and the version in the address of our
scripts, change with the content; so a browser that has one never asks again.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import gradio as gr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.places import at

GRADIO_INDEX = Path(gr.__file__).parent / "templates" / "frontend" / "index.html"
BROWSER = Path(__file__).parent / "browser"
KINDS = {".js": "text/javascript", ".css": "text/css"}
_KEPT = "private, max-age=31536000, immutable"
_PATH = re.compile(r"/(?P<folder>assets|browser/[0-9a-f]{16})/(?P<name>[\w.-]+\.(?:js|css))")
_IMPORT = re.compile(r"""(?:\bfrom|^import)\s+['"]\./([\w.-]+\.js)['"]""", re.MULTILINE)


@cache
def our_folder() -> str:
    """Return the address of our scripts, with their version in it."""
    content = b"".join(path.name.encode() + path.read_bytes() for path in sorted(BROWSER.iterdir()) if path.is_file())
    return f"/browser/{sha256(content).hexdigest()[:16]}"


def our_scripts(first: str) -> list[str]:
    """Return a script of ours and all that it imports."""
    found = [first]
    for name in found:
        found += [other for other in _IMPORT.findall((BROWSER / name).read_text()) if other not in found]
    return list(dict.fromkeys(found))


def told_of(bundles: Iterable[str], first: str) -> str:
    """Return the head's links by which a browser gets all at once: bundles, and a script of ours with its own."""
    links = []
    for name in bundles:
        # As Gradio asks for them, so that the browser knows that they are the same.
        how = 'rel="modulepreload"' if name.endswith(".js") else 'rel="preload" as="style"'
        links.append(f'<link {how} crossorigin href="{at("/assets")}/{name}">')
    # The panels wait for Gradio's components anyway.
    links += [f'<link rel="modulepreload" href="{at(our_folder())}/{name}">' for name in our_scripts(first)]
    return "".join(links)


def unpacks(scope: Scope) -> bool:
    """Tell whether a browser unpacks what is compressed."""
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


@dataclass(frozen=True, slots=True)
class _Packed:
    kind: str
    content: bytes


class Assets:
    """ASGI middleware: answers for Gradio's bundles and our scripts from memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._packed: dict[str, _Packed] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on: of what is no such file, and of browsers that unpack nothing."""
        packed = None
        if scope["type"] == "http" and scope["method"] == "GET" and unpacks(scope):
            packed = self._packed.get(scope["path"])
            if packed is None and (path := _file(scope["path"])):
                packed = self._packed[scope["path"]] = await asyncio.to_thread(_pack, path)
        if packed is None:
            await self._app(scope, receive, send)
            return
        headers = {
            "content-type": f"{packed.kind}; charset=utf-8",
            "content-encoding": "gzip",
            "content-length": str(len(packed.content)),
            "cache-control": _KEPT,
            "vary": "Accept-Encoding",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": packed.content})

    def pack(self, names: Iterable[str]) -> None:
        """Pack bundles before anybody asks."""
        for name in names:
            self._packed[f"/assets/{name}"] = _pack(GRADIO_INDEX.parent / "assets" / name)


def _file(path: str) -> Path | None:
    found = _PATH.fullmatch(path)
    if found is None or (found["folder"] != "assets" and f"/{found['folder']}" != our_folder()):
        return None
    file = (GRADIO_INDEX.parent / "assets" if found["folder"] == "assets" else BROWSER) / found["name"]
    return file if file.is_file() else None


def _pack(path: Path) -> _Packed:
    return _Packed(KINDS[path.suffix], gzip.compress(path.read_bytes(), 9, mtime=0))
