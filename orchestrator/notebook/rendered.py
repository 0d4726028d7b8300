"""Markdown as HTML that does nothing: no markup of its own, no picture from elsewhere, links only to click. No I/O."""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from orchestrator.notebook.highlight import highlighted

_MOST_CHARS = 50_000  # of one text, and in one export: it takes a second for each 100,000, and more for odd ones
_MOST_CHARS_TOGETHER = 1_000_000
_LINK = re.compile(r"(?:https?://|mailto:|#|(?![/\\])[^:]*$)", re.IGNORECASE)
_INLINE_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$")


class _Renderer(RendererHTML):
    """Differs from markdown-it's own in what leads out of the page, and in code."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Show a picture that is in the text itself; of any other only its name is told."""
        token = tokens[idx]
        source = str(token.attrGet("src") or "")
        name = escape(self.renderInlineAsText(token.children or [], options, env) or "picture")
        if _INLINE_PICTURE.match(source):
            return f'<img src="{source}" alt="{name}">'
        return f'<a href="{escape(source)}" rel="noopener noreferrer">{name}</a>' if source else name

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Begin a link that tells nobody where it was clicked."""
        tokens[idx].attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, idx, options, env)

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        """Show a block of code."""
        token = tokens[idx]
        python = token.info.strip().lower() in ("python", "py", "python3")
        return f"<pre><code>{highlighted(token.content) if python else escape(token.content)}</code></pre>\n"


def _can_be_linked(url: str) -> bool:
    return _LINK.match(url) is not None or _INLINE_PICTURE.match(url) is not None


class Markdown:
    """Renders the texts of one export, within a budget: what is beyond it is shown as it was written."""

    def __init__(self) -> None:
        self._left = _MOST_CHARS_TOGETHER
        self._markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
        self._markdown.enable(["table", "strikethrough"])
        self._markdown.validateLink = _can_be_linked  # type: ignore[method-assign]

    def html(self, text: str) -> str:
        """Return a text as HTML."""
        if len(text) > min(_MOST_CHARS, self._left):
            return f'<pre class="text">{escape(text)}</pre>'
        self._left -= len(text)
        return str(self._markdown.render(text))


def svg_url(source: str) -> str:
    """Return an SVG as the address of a picture: as such it runs no script and loads nothing."""
    return f"data:image/svg+xml;base64,{b64encode(source.encode('utf-8', 'replace')).decode()}"
