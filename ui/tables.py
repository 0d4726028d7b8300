"""An HTML table, as pandas writes it, as rows of text: nothing of its markup survives. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

MAX_ROWS = 2000
MAX_COLUMNS = 200
MAX_CELL = 1000

_EMPTY = frozenset({"", "...", "NaN", "NaT", "None", "<NA>", "nan"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table's cells; of a larger one the beginning, and how large it is."""

    columns: list[str]
    rows: list[list[str]]
    # Which columns hold nothing but numbers.
    numeric: list[bool]
    all_rows: int
    all_columns: int


def read_table(html: str) -> Table | None:
    """Read the HTML, or return None when it is not one plain table."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    rows = [row for row in reader.rows if row]
    if reader.tables != 1 or reader.spans or len(rows) < 2:
        return None
    columns = len(rows[0])
    rows = _without_index_name(rows)
    if columns < 1 or any(len(row) != columns for row in rows):
        return None
    kept = [[cell[:MAX_CELL] for cell in row[:MAX_COLUMNS]] for row in rows[: MAX_ROWS + 1]]
    numeric = [all(is_number(row[at]) for row in kept[1:]) for at in range(len(kept[0]))]
    return Table(kept[0], kept[1:], numeric, len(rows) - 1, columns)


def _without_index_name(rows: list[list[str]]) -> list[list[str]]:
    """Join pandas' second header row, which holds nothing but the index's name, with the first."""
    header, second = rows[0], rows[1]
    if len(rows) > 2 and len(second) == len(header) and not header[0] and second[0] and not any(second[1:]):
        return [[second[0], *header[1:]], *rows[2:]]
    return rows


def is_number(text: str) -> bool:
    """Tell whether a cell holds a number, or nothing."""
    if text in _EMPTY:
        return True
    try:
        float(text.replace(",", "").removesuffix("%"))
    except ValueError:
        return False
    return True


class _Reader(HTMLParser):
    """Collects the texts of a table's cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.tables = 0
        self.spans = False
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables += 1
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self._cell = []
            self.spans = self.spans or any(
                name in {"rowspan", "colspan"} and (value or "1") != "1" for name, value in attrs
            )

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self._cell is not None:
            if self.rows:
                self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
