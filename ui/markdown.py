"""Markdown that nobody vouches for, as HTML: no tag of it is obeyed, and nothing in it loads from elsewhere. Pure.

Names of workspace files become links to their downloads, however the model writes them: `sandbox:/mnt/data/x.csv` and
`/mnt/data/x.csv`, and `x.csv` where a file of that name is known.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ui.formulas import add_formulas
from ui.highlight import highlighted

MAX_MARKDOWN = 256 * 1024

_SANDBOX_LINK = re.compile(r"\]\(\s*(?:<sandbox:(?P<pointed>[^>\n]*)>|sandbox:(?P<plain>[^)\n]*?))\s*\)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_OUTSIDE = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
# A path as people write one into a sentence, without the full stop behind it.
_PATH = re.compile(r"(?:sandbox:)?/mnt/data/[^\s<>()\[\]\"'`,;|]+|[\w][\w./-]*\.\w{1,8}")
_LANGUAGE = re.compile(r"[\w+#.-]{1,40}")


def file_url(session: str, path: str) -> str | None:
    """Return where the page serves a workspace file, or None for a path that cannot be one."""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if not segments or ".." in segments:
        return None
    # Relative: the page may be served beneath a path of somebody's proxy.
    return f"files/{quote(session, safe='')}/" + "/".join(quote(segment, safe="") for segment in segments)


def markdown_html(text: str, session: str, files: AbstractSet[str] = frozenset()) -> str:
    """Return a text's HTML; `files` are the names that become links where they stand alone."""
    mentioned = frozenset(path for found in _PATH.finditer(text) if (path := _inside(found[0])) in files)
    named = frozenset(name for name in files if " " in name and f"`{name}`" in text)
    return _rendered(text[:MAX_MARKDOWN], session, mentioned | named)


def code_block(code: str, language: str) -> str:
    """Return a block of code; conversation.js names its button, so that what is remembered here is of no language."""
    kind = f' data-language="{escape(language)}"' if language else ""
    copy = '<button type="button" class="gb-copy" data-act="copy"></button>'
    shown = highlighted(code, language)
    return f'<div class="gb-codeblock"{kind}>{copy}<pre tabindex="0"><code>{shown}</code></pre></div>'


@lru_cache(maxsize=2048)
def _rendered(text: str, session: str, files: frozenset[str]) -> str:
    # Names with spaces make no link in Markdown unless they stand in pointed brackets.
    text = _SANDBOX_LINK.sub(_pointed, text)
    return str(_READER.render(text, {"session": session, "files": files}))


def _pointed(found: re.Match[str]) -> str:
    path = found["pointed"] if found["pointed"] is not None else found["plain"]
    return f"](<sandbox:{path.strip()}>)"


def _inside(path: str) -> str:
    """Return the name in the workspace of a path as it was written."""
    return unquote(path).removeprefix("sandbox:").rstrip(".:!?").removeprefix("/mnt/data/").lstrip("/")


def _target(href: str, session: str) -> tuple[str, str]:
    """Return where a link leads and what else its element says; nowhere for what is no file and no site."""
    if _OUTSIDE.match(href):
        return href, ' target="_blank" rel="noopener noreferrer"'
    if not href.startswith("#") and (not _SCHEME.match(href) or href.startswith("sandbox:")):
        url = file_url(session, unquote(href).removeprefix("sandbox:").strip().lstrip("/").removeprefix("mnt/data/"))
        if url:
            return url, ' class="gb-file" download'
    return "#", ""


def _link_open(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    href, more = _target(str(tokens[at].attrs.get("href", "")), env["session"])
    title = str(tokens[at].attrs.get("title", ""))
    env["in_link"] = True
    return f'<a href="{escape(href)}"{more}' + (f' title="{escape(title)}">' if title else ">")


def _link_close(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    env["in_link"] = False
    return "</a>"


def _image(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    """Show a picture of the workspace; one of another site would tell that site who reads this, so it is a link."""
    source = str(tokens[at].attrs.get("src", ""))
    alt = tokens[at].content or source.rsplit("/", 1)[-1]
    url, more = _target(source, env["session"])
    if "gb-file" in more:
        image = f'<img src="{escape(url)}" alt="{escape(alt)}" loading="lazy">'
        return f'<a class="gb-picture" data-act="enlarge" href="{escape(url)}">{image}</a>'
    return f'<a href="{escape(url)}"{more}>{escape(alt)}</a>'


def _text(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    content = tokens[at].content
    if env.get("in_link"):
        return escape(content, quote=False)
    pieces: list[str] = []
    end = 0
    for found in _PATH.finditer(content):
        path = found[0].rstrip(".:!?")
        if not (path.startswith(("/mnt/data/", "sandbox:")) or path in env["files"]):
            continue
        url = file_url(env["session"], _inside(path))
        if url:
            pieces += [escape(content[end : found.start()], quote=False), _file(url, escape(path, quote=False))]
            end = found.start() + len(path)
    return "".join([*pieces, escape(content[end:], quote=False)])


def _code_inline(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    content = tokens[at].content
    code = f"<code>{escape(content, quote=False)}</code>"
    url = file_url(env["session"], _inside(content)) if _inside(content) in env["files"] else None
    return _file(url, code) if url and not env.get("in_link") else code


def _fence(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    named = _LANGUAGE.match(tokens[at].info.strip())
    return code_block(tokens[at].content.rstrip("\n"), named[0].lower() if named else "")


def _table_open(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    return '<div class="gb-table" tabindex="0"><table>'


def _table_close(renderer: Any, tokens: list[Token], at: int, options: Any, env: dict[str, Any]) -> str:
    return "</table></div>"


def _file(url: str, label: str) -> str:
    return f'<a class="gb-file" href="{escape(url)}" download>{label}</a>'


def _reader() -> MarkdownIt:
    reader = MarkdownIt("js-default", {"html": False, "linkify": False, "typographer": False})
    # Where a link may lead is for `_target` to say, which sees them all.
    reader.validateLink = lambda url: True  # type: ignore[method-assign]
    add_formulas(reader)
    rules = {
        "link_open": _link_open,
        "link_close": _link_close,
        "image": _image,
        "text": _text,
        "code_inline": _code_inline,
        "fence": _fence,
        "code_block": _fence,
        "table_open": _table_open,
        "table_close": _table_close,
    }
    for name, rule in rules.items():
        reader.add_render_rule(name, rule)
    return reader


_READER = _reader()
