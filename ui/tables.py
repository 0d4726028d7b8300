"""An HTML table, as pandas writes it, turned into a Markdown table: text only, nothing of its markup survives. Pure."""

from __future__ import annotations

from html.parser import HTMLParser

from ui import words
from ui.markdown import escaped

MAX_ROWS = 60
MAX_COLUMNS = 30
MAX_CELL = 200


def markdown_table(html: str) -> str | None:
    """Return the table as Markdown, or None when the HTML is not one plain table."""
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
    return _written(rows, columns)


def _without_index_name(rows: list[list[str]]) -> list[list[str]]:
    """Join pandas' second header row, which holds nothing but the index's name, with the first."""
    header, second = rows[0], rows[1]
    if len(rows) > 2 and len(second) == len(header) and not header[0] and second[0] and not any(second[1:]):
        return [[second[0], *header[1:]], *rows[2:]]
    return rows


def _written(rows: list[list[str]], columns: int) -> str:
    shown_columns = min(columns, MAX_COLUMNS)
    body = rows[1 : MAX_ROWS + 1]
    numeric = [all(_is_number(row[at]) for row in body) for at in range(shown_columns)]
    lines = [_line(rows[0][:shown_columns]), _line_of(["---:" if right else "---" for right in numeric])]
    lines += [_line(row[:shown_columns]) for row in body]
    notes: list[str] = []
    if len(rows) - 1 > MAX_ROWS:
        notes.append(words.TABLE_CUT.format(rows=MAX_ROWS, total=len(rows) - 1))
    if columns > MAX_COLUMNS:
        notes.append(words.COLUMNS_CUT.format(columns=MAX_COLUMNS, total=columns))
    return "\n".join(lines) + ("\n\n" + " ".join(notes) if notes else "")


def _line(cells: list[str]) -> str:
    return _line_of([escaped(cell[:MAX_CELL]) or " " for cell in cells])


def _line_of(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _is_number(text: str) -> bool:
    if text in {"", "...", "NaN", "NaT", "None", "<NA>"}:
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
