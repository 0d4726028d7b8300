"""What can be seen of one output of a cell, after intake chose among its representations. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Printed:
    """Text that the cell printed; it grows while the cell runs."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A value as text, shown as it is."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that ended the cell."""

    error: str
    message: str
    # As HTML: the frame that matters, and everything.
    frame: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on the shelf; its size in pixels where it is known without decoding it."""

    name: str
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """An HTML page on the shelf, to be shown in a sandboxed frame only."""

    name: str


@dataclass(frozen=True, slots=True)
class Prose:
    """What the code displayed as Markdown, or a formula."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A Plotly or Vega chart on the shelf, to be drawn in a sandboxed frame only; its height in pixels, if known."""

    name: str
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on the shelf, to be sorted and searched in a sandboxed frame; how many rows it has decides its height."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Paper:
    """A PDF on the shelf, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Why an output is not shown."""

    text: str


Shown = Printed | Plain | Failure | Picture | Frame | Prose | Plot | Sheet | Paper | Remark
