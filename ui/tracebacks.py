"""A traceback, and of its frames the one that matters: the last in code of the conversation. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ui.ansi import coloured, printed

MAX_TRACEBACK = 64 * 1024

_HEADER = re.compile(r"Traceback \(most recent call last\)")
_OWN = re.compile(r"(?:Cell|Input) In ?\[|File (?:/mnt/data/|~/|\./)")


@dataclass(frozen=True, slots=True)
class Traceback:
    """The frame that matters, and everything, as HTML; `whole` is empty where there is no more than that frame."""

    frame: str
    whole: str


def read_traceback(lines: Sequence[str]) -> Traceback:
    """Read an nbformat error's traceback: IPython gives one string for each frame, between a header and the message."""
    everything = "\n".join(lines)
    if len(everything) > MAX_TRACEBACK:
        everything = f"{everything[: MAX_TRACEBACK // 2]}\n…\n{everything[-MAX_TRACEBACK // 2 :]}"
        return Traceback("", coloured(everything))
    header = next((at for at, line in enumerate(lines[:3]) if _HEADER.search(line)), None)
    if header is None:
        return Traceback(coloured(everything), "")
    frames = list(lines[header + 1 : -1])
    if not frames:
        return Traceback("", coloured(everything))
    own = [frame for frame in frames if _OWN.match(printed(frame).lstrip())]
    frame = own[-1] if own else frames[-1]
    return Traceback(coloured(frame.strip("\n")), coloured(everything) if len(frames) > 1 else "")
