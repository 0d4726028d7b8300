"""Printed text as a terminal would show it: escape sequences, carriage returns and backspaces applied. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    r"(?P<csi>(?:\x1b\[|\x9b)(?P<arguments>[0-?]*)[ -/]*(?P<final>[@-~]))"
    # A system command (a title, a link) ends with BEL or ST; one that never ends is dropped to the line's end.
    r"|(?P<string>(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?)"
    r"|(?P<escape>\x1b[ -/]*[0-~]?)"
    r"|(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)


def printed(text: str) -> str:
    """Return what a terminal shows after `text` was printed to it, without colours."""
    if not _CONTROL.search(text):
        return text
    screen = _Screen()
    for token in _TOKEN.finditer(text.replace("\r\n", "\n")):
        if token["text"] is not None:
            screen.write(token["text"])
        elif token["control"] is not None:
            screen.control(token["control"])
        elif token["csi"] is not None:
            screen.command(token["final"], token["arguments"])
    return "\n".join(screen.lines)


@dataclass(slots=True)
class _Screen:
    """Lines that grow downwards, and a cursor that never leaves what was written: hostile moves cost nothing."""

    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0

    def write(self, text: str) -> None:
        line = self.lines[self.row]
        self.lines[self.row] = line[: self.column] + text + line[self.column + len(text) :]
        self.column += len(text)

    def control(self, character: str) -> None:
        if character == "\n":
            self.row += 1
            self.column = 0
            if self.row == len(self.lines):
                self.lines.append("")
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)

    def command(self, final: str, arguments: str) -> None:
        first = re.match(r"\d{1,4}", arguments)
        count = int(first[0]) if first else 0
        match final:
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
                self.lines, self.row, self.column = [""], 0, 0
            case _:
                return

    def _move(self, row: int, column: int) -> None:
        self.row = min(max(0, row), len(self.lines) - 1)
        self.column = min(max(0, column), len(self.lines[self.row]))

    def _erase_in_line(self, mode: int) -> None:
        line = self.lines[self.row]
        if mode == 0:
            self.lines[self.row] = line[: self.column]
        elif mode == 1:
            self.lines[self.row] = " " * min(self.column, len(line)) + line[self.column :]
        else:
            self.lines[self.row] = " " * min(self.column, len(line))
