"""Text in Markdown so that it ends where it should, whatever is in it. No I/O."""

import re

from markdown_it import MarkdownIt

_BACKTICKS = re.compile(r"`+")
_FENCES = re.compile(r"^\s*(`{3,}|~{3,})", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_INFO = re.compile(r"[^\w+-]")
_BLOCKS = MarkdownIt("commonmark")
_BLOCKS.core.ruler.disable(["inline"])
_NEXT = "what follows"
_MOST_CHARS = 200_000
_MOST_TRIES = 4


def fenced(text: str, language: str = "") -> str:
    """Return text as a code block: its fence is longer than any run of backticks in it."""
    fence = "`" * max(3, _longest_run(text) + 1)
    ending = "" if text.endswith("\n") or not text else "\n"
    return f"{fence}{_NO_INFO.sub('', language)}\n{text}{ending}{fence}"


def code_span(text: str) -> str:
    """Return text as code within a line."""
    marks = "`" * (_longest_run(text) + 1)
    return f"{marks} {text} {marks}" if "`" in text else f"`{text}`"


def quoted(text: str) -> str:
    """Return Markdown as a quotation; whatever is left open in it ends with it."""
    return "\n".join(f"> {line}".rstrip() for line in _LINE_END.split(text))


def contained(text: str) -> str:
    """Return Markdown that takes nothing of what follows into itself: a code block, markup or comment left open.

    A code block that was cut off is closed; all else that is left open becomes a quotation.
    """
    text = text.strip("\n")
    if len(text) > _MOST_CHARS:
        return quoted(text)
    if _ends(text):
        return text
    fences = dict.fromkeys(reversed(_FENCES.findall(text)))
    for fence in list(fences)[:_MOST_TRIES]:
        if _ends(closed := f"{text}\n{fence}"):
            return closed
    return quoted(text)


def _ends(text: str) -> bool:
    """Tell whether a paragraph that follows a text is one."""
    tokens = _BLOCKS.parse(f"{text}\n\n{_NEXT}")
    return len(tokens) >= 3 and tokens[-1].level == 0 and tokens[-2].content == _NEXT


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
