"""Printed text as a terminal would show it at the end: plain, or with its colours as HTML. No I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape

_TOKEN = re.compile(
    r"\x1b\[([0-9;:]*)m"  # colours and styles
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # other commands: moves, erasing
    r"|(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # system commands: titles, links
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_LEVELS = (0, 95, 135, 175, 215, 255)
_NAMED = 16
_CUBE_ENDS = 232
_MOST_PARAMETERS = 32


@dataclass(frozen=True, slots=True)
class _Style:
    """How text looks: colours are a number below 16, or `#rrggbb`."""

    foreground: int | str | None = None
    background: int | str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False


_PLAIN = _Style()
_SWITCHES = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
}


def plain(text: str) -> str:
    """Return text without escape sequences and control characters; lines that were written over, as they ended."""
    return _TOKEN.sub("", _overwritten(text))


def coloured(text: str) -> str:
    """Return text as HTML: escaped, with spans for what is coloured or styled."""
    return "".join(_span(style, escape(piece)) for style, piece in _pieces(_overwritten(text)))


def _overwritten(text: str) -> str:
    """Reduce each line to what was printed to it after its last carriage return."""
    text = text.replace("\r\n", "\n")
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _pieces(text: str) -> Iterator[tuple[_Style, str]]:
    style, start = _PLAIN, 0
    for token in _TOKEN.finditer(text):
        if token.start() > start:
            yield style, text[start : token.start()]
        start = token.end()
        if token[1] is not None:
            style = _changed(style, token[1])
    if start < len(text):
        yield style, text[start:]


def _changed(style: _Style, parameters: str) -> _Style:
    numbers = [int(one[:4] or 0) for one in parameters.replace(":", ";").split(";")[:_MOST_PARAMETERS]]
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number == 0:
            style = _PLAIN
        elif number in _SWITCHES:
            style = replace(style, **_SWITCHES[number])
        elif number in (38, 48):
            colour, taken = _colour(numbers[at:])
            at += taken
            style = _with_colour(style, colour, foreground=number == 38)
        elif number in (39, 49):
            style = _with_colour(style, None, foreground=number == 39)
        elif 30 <= number <= 37 or 90 <= number <= 97:
            style = _with_colour(style, number - 30 if number < 90 else number - 82, foreground=True)
        elif 40 <= number <= 47 or 100 <= number <= 107:
            style = _with_colour(style, number - 40 if number < 100 else number - 92, foreground=False)
    return style


def _with_colour(style: _Style, colour: int | str | None, *, foreground: bool) -> _Style:
    return replace(style, foreground=colour) if foreground else replace(style, background=colour)


def _colour(numbers: list[int]) -> tuple[int | str | None, int]:
    """Return the colour that follows a 38 or 48, and how many numbers say it."""
    match numbers:
        case [5, index, *_]:
            return _of_256(min(index, 255)), 2
        case [2, red, green, blue, *_]:
            return "#" + "".join(f"{min(one, 255):02x}" for one in (red, green, blue)), 4
    return None, len(numbers)


def _of_256(index: int) -> int | str:
    if index < _NAMED:
        return index
    if index >= _CUBE_ENDS:
        return "#" + f"{8 + 10 * (index - _CUBE_ENDS):02x}" * 3
    index -= _NAMED
    return "#" + "".join(f"{_LEVELS[one]:02x}" for one in (index // 36, index // 6 % 6, index % 6))


def _span(style: _Style, content: str) -> str:
    if style == _PLAIN:
        return content
    foreground, background = style.foreground, style.background
    classes = [name for name in ("bold", "dim", "italic", "underline", "inverse") if getattr(style, name)]
    rules = []
    for letter, name, colour in (("f", "color", foreground), ("b", "background-color", background)):
        if isinstance(colour, int):
            classes.append(f"{letter}{colour}")
        elif colour is not None:
            rules.append(f"{name}:{colour}")
    attributes = f' class="{" ".join(f"ansi-{one}" for one in classes)}"' if classes else ""
    attributes += f' style="{";".join(rules)}"' if rules else ""
    return f"<span{attributes}>{content}</span>"
