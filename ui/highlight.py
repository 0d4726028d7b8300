"""Code as HTML with the classes of Pygments, which style_conversation.css colours. Pure, and remembered."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

# Colouring takes about a second a megabyte; what is longer is rarely read.
MAX_COLOURED = 48 * 1024

_FORMATTER = HtmlFormatter(nowrap=True)


@lru_cache(maxsize=2048)
def highlighted(code: str, language: str) -> str:
    """Return the code as HTML; in a language that is unknown, without colours."""
    if len(code) > MAX_COLOURED:
        return escape(code, quote=False)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False) if language else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return escape(code, quote=False)
    return str(highlight(code, lexer, _FORMATTER))
