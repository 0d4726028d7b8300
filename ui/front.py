"""The first thing that a browser gets: the document of the page, in the reader's language and theme.

Gradio writes the document; what it says of language and theme is put in on the way. The reader's own settings count
before the browser's, and the language is kept in a cookie, so that all further requests speak it, too.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import languages, panel_words
from ui.api_client import ApiError
from ui.assets import our_folder, unpacks
from ui.logins import Logins
from ui.places import at

THEMES = frozenset({"light", "dark"})
# Before anything else runs: Gradio asks the browser for its language and its colours, and gets the reader's own.
_FIRST_SCRIPT = """
const chosen = window.glovebox;
document.documentElement.lang = chosen.tag;
Object.defineProperty(navigator, 'language', { get: () => chosen.tag });
Object.defineProperty(navigator, 'languages', { get: () => [chosen.tag] });
const askedOfBrowser = window.matchMedia.bind(window);
window.matchMedia = (query) => {
  const found = askedOfBrowser(query);
  if (!chosen.theme || !/prefers-color-scheme/.test(query)) return found;
  const matches = query.includes('dark') === (chosen.theme === 'dark');
  const nothing = () => {};
  return { matches, media: query, addEventListener: nothing, removeEventListener: nothing };
};
chosen.parts = {};
chosen.mount = (name, element, trigger) => {
  chosen.parts[name] = { element, trigger };
  window.dispatchEvent(new CustomEvent('glovebox:part', { detail: name }));
};
// The files in the message box, as Gradio's component has them.
chosen.attached = [];
chosen.open = (session) => {
  const address = new URL(location.href);
  if (session) address.searchParams.set('session', session); else address.searchParams.delete('session');
  history.replaceState(null, '', address);
  chosen.watch?.(session);
  window.dispatchEvent(new CustomEvent('glovebox:session', { detail: session }));
};
// Whoever is logged out meanwhile is told so by the next thing that they do.
chosen.plainFetch = window.fetch.bind(window);
window.fetch = async (...asked) => {
  const answer = await chosen.plainFetch(...asked);
  if (answer.status === 401 && new URL(answer.url).origin === location.origin) {
    window.dispatchEvent(new Event('glovebox:ended'));
  }
  return answer;
};
"""
# Not in the order of the document: so neither waits for the other's files before it starts.
_PANELS = '<script type="module" async src="{}"></script>'
FIRST = "panels.js"
# Of nine: the first steps save most, and this is made anew for each reader.
_PACKED_HARD = 4
# The names of our languages as Gradio knows them.
_TAGS = {"zh": "zh-CN"}


class Front:
    """ASGI middleware around Gradio: knows the reader of the page's document, and tells of the files that it needs."""

    def __init__(self, app: ASGIApp, logins: Logins, told: str = "") -> None:
        self._app = app
        self._logins = logins
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the page's document is written for its reader."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        tastes = await tastes_of(self._logins, headers)
        # Unpacked, since it is changed on the way.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        document = _Document(send, tastes, self._told, packed=unpacks(scope))
        await self._app({**scope, "headers": plain}, receive, document.send)


async def tastes_of(logins: Logins, headers: Headers) -> dict[str, Any]:
    """Return a reader's settings, and speak their language from here on; of somebody unknown there are none."""
    try:
        tastes = await logins.api_for(headers).my_settings()
    except ApiError:
        tastes = {}
    chosen = languages.known(str(tastes.get("language") or ""))
    languages.speak(chosen or (languages.wanted(headers) if "language" not in tastes else by_browser(headers)))
    return tastes


def by_browser(headers: Headers) -> str:
    """Return the language that the browser asks for, whatever was chosen before."""
    return languages.accepted(headers.get("accept-language", ""))


def language_cookie(tastes: dict[str, Any]) -> str | None:
    """Return the Set-Cookie header that fits the settings; None where nobody knows them."""
    if "language" not in tastes:
        return None
    return languages.cookie(languages.known(str(tastes["language"] or "")), at("/"))


def known(tastes: dict[str, Any]) -> dict[str, Any]:
    """Return what the scripts begin with: where they are, language, theme, and all the words that they say."""
    spoken = languages.spoken()
    return {
        "root": at("/"),
        "language": spoken,
        "tag": tag(spoken),
        "languages": {name: languages.texts(name).get("LANGUAGE", "English") for name in languages.names()},
        "theme": tastes["theme"] if tastes.get("theme") in THEMES else None,
        "words": panel_words.SCRIPTS,
    }


def first_script(tastes: dict[str, Any]) -> str:
    """Return the script that the page begins with."""
    told = json.dumps(known(tastes)).replace("<", "\\u003c")
    return f"window.glovebox = {told};{_FIRST_SCRIPT}"


def tag(language: str) -> str:
    """Return a language as HTML names it."""
    return _TAGS.get(language, language)


class _Document:
    """The document on its way to the browser."""

    def __init__(self, send: Send, tastes: dict[str, Any], told: str, *, packed: bool) -> None:
        self._send = send
        self._told = told
        self._packed = packed
        self._tastes = tastes
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False) or self._start is None:
            return
        headers = MutableHeaders(scope=self._start)
        if headers.get("content-type", "").startswith("text/html"):
            self._body = bytearray(_written_for(self._body.decode(), self._tastes, self._told).encode())
            if self._packed:
                self._body = bytearray(gzip.compress(self._body, _PACKED_HARD))
                headers["content-encoding"] = "gzip"
                headers.add_vary_header("accept-encoding")
            headers["content-length"] = str(len(self._body))
            headers["cache-control"] = "no-store"
            if cookie := language_cookie(self._tastes):
                headers.append("set-cookie", cookie)
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": bytes(self._body)})


def _written_for(document: str, tastes: dict[str, Any], told: str) -> str:
    language = tag(languages.spoken())
    document = document.replace('lang="en"', f'lang="{language}"', 1)
    scripts = f"<script>{first_script(tastes)}</script>{told}{_PANELS.format(f'{at(our_folder())}/{FIRST}')}"
    document = document.replace("<head>", f"<head>{scripts}", 1)
    # There is no such file, and it would be asked for outside of a proxy's prefix.
    return document.replace('<link rel="manifest" href="/manifest.json" />', "", 1)
