"""Python with its keywords, strings, comments and numbers marked, as HTML. No I/O."""

import keyword
import re
from html import escape

_MOST_CHARS = 200_000
_TOKEN = re.compile(
    r"(?P<comment>#[^\n]*)"
    r"|(?P<string>(?i:[rbfu]{0,2})(?:\"\"\"(?s:.)*?(?:\"\"\"|\Z)|'''(?s:.)*?(?:'''|\Z)"
    r"|\"(?:[^\"\\\n]|\\(?s:.))*+\"?|'(?:[^'\\\n]|\\(?s:.))*+'?))"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<number>\d[\w.]*)"
)


def highlighted(code: str) -> str:
    """Return code as HTML with a span for each of its tokens that has a colour."""
    if len(code) > _MOST_CHARS:
        return escape(code)
    pieces = []
    start = 0
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup or ""
        if kind == "word":
            if not keyword.iskeyword(token[0]):
                continue
            kind = "keyword"
        pieces.append(escape(code[start : token.start()]))
        pieces.append(f'<span class="{kind}">{escape(token[0])}</span>')
        start = token.end()
    pieces.append(escape(code[start:]))
    return "".join(pieces)
