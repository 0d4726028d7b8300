"""Printed text as a terminal would show it: escape sequences, carriage returns and backspaces applied. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    r"(?P<csi>(?:\x1b\[|\x9b)(?P<arguments>[0-?]*)[ -/]*(?P<final>[@-~]))"
    # A system command (a title, a link) ends with BEL or ST; one that never ends is dropped to the line's end.
    r"|(?P<string>(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?)"
    r"|(?P<escape>\x1b[ -/]*[0-~]?)"
    r"|(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
# A style is one character beside each character of the text: so both are cut and joined in the same way.
_PLAIN = "\0"


def printed(text: str) -> str:
    """Return what a terminal shows after `text` was printed to it, without colours."""
    if not _CONTROL.search(text):
        return text
    return "\n".join(_shown(text).lines)


def coloured(text: str) -> str:
    """Return the same as HTML, with the colours as classes (`gb-red`, `gb-bold`); nothing of the text is obeyed."""
    if not _CONTROL.search(text):
        return escape(text, quote=False)
    screen = _shown(text)
    return "\n".join(map(_line, screen.lines, screen.styles))


def _shown(text: str) -> _Screen:
    screen = _Screen()
    for token in _TOKEN.finditer(text.replace("\r\n", "\n")):
        if token["text"] is not None:
            screen.write(token["text"])
        elif token["control"] is not None:
            screen.control(token["control"])
        elif token["csi"] is not None:
            screen.command(token["final"], token["arguments"])
    return screen


def _line(text: str, styles: str) -> str:
    pieces: list[str] = []
    end = 0
    for style, run in groupby(styles):
        start, end = end, end + len(list(run))
        piece = escape(text[start:end], quote=False)
        pieces.append(piece if style == _PLAIN else f'<span class="{_classes(ord(style))}">{piece}</span>')
    return "".join(pieces)


def _classes(style: int) -> str:
    # Four bits for the colour (0 is none), then one for bold.
    colour, bold = style & 15, style & 16
    names = [f"gb-{_COLOURS[colour - 1]}"] if colour else []
    return " ".join([*names, "gb-bold"] if bold else names)


@dataclass(slots=True)
class _Screen:
    """Lines that grow downwards, and a cursor that never leaves what was written: hostile moves cost nothing."""

    lines: list[str] = field(default_factory=lambda: [""])
    styles: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    style: str = _PLAIN

    def write(self, text: str) -> None:
        self._put(text, self.style * len(text), len(text))
        self.column += len(text)

    def control(self, character: str) -> None:
        if character == "\n":
            self.row += 1
            self.column = 0
            if self.row == len(self.lines):
                self.lines.append("")
                self.styles.append("")
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)

    def command(self, final: str, arguments: str) -> None:
        first = re.match(r"\d{1,4}", arguments)
        count = int(first[0]) if first else 0
        match final:
            case "m":
                self._choose(arguments)
            case "A":
                self._move(self.row - max(1, count), self.column)
            case "B":
                self._move(self.row + max(1, count), self.column)
            case "C":
                self._move(self.row, self.column + max(1, count))
            case "D":
                self._move(self.row, self.column - max(1, count))
            case "G":
                self._move(self.row, max(1, count) - 1)
            case "K":
                self._erase_in_line(count)
            case "J" if count in (2, 3):
                self.lines, self.styles, self.row, self.column = [""], [""], 0, 0
            case _:
                return

    def _put(self, text: str, styles: str, width: int) -> None:
        line, before = self.lines[self.row], self.styles[self.row]
        self.lines[self.row] = line[: self.column] + text + line[self.column + width :]
        self.styles[self.row] = before[: self.column] + styles + before[self.column + width :]

    def _choose(self, arguments: str) -> None:
        """Take over a style; of colours the eight that every theme has, bright ones are the same."""
        numbers = [int(each) if each.isdecimal() else 0 for each in arguments[:64].split(";")]
        style = ord(self.style)
        while numbers:
            number = numbers.pop(0)
            if number in (38, 48):
                del numbers[: 2 if numbers[:1] == [5] else 4]  # one of 256 colours, or of them all
            elif number == 0:
                style = 0
            elif number in (1, 22):
                style = style | 16 if number == 1 else style & 15
            elif 30 <= number <= 37 or 90 <= number <= 97:
                style = style & 16 | number % 10 + 1
            elif number == 39:
                style &= 16
        self.style = chr(style)

    def _move(self, row: int, column: int) -> None:
        self.row = min(max(0, row), len(self.lines) - 1)
        self.column = min(max(0, column), len(self.lines[self.row]))

    def _erase_in_line(self, mode: int) -> None:
        if mode == 0:
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.styles[self.row] = self.styles[self.row][: self.column]
            return
        width = len(self.lines[self.row])
        erased = min(self.column, width) if mode == 1 else width
        self.lines[self.row] = " " * erased + self.lines[self.row][erased:]
        self.styles[self.row] = _PLAIN * erased + self.styles[self.row][erased:]
