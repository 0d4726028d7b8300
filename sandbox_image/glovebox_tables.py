"""A short look into tables of the workspace, for a model that has not seen them: `{"paths", "columns"}` in, JSON out.

    [{"path": "a.csv", "parts": [{"name": "", "rows": 120, "about": false, "columns": [["month", "text", ["Jan"]]]}],
      "note": "separator ';'"}]

A workbook has a part for each sheet. `about` says that rows were estimated. Only as much is read as a look takes.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from glovebox_aside import limit_memory

HEAD_BYTES = 256 * 1024
WHOLE_BYTES = 16 * 1024 * 1024  # beyond, rows are estimated, and what has to be read whole is not
SAMPLE_ROWS = 200
SHEETS = 4
VALUES = 3
VALUE_CHARS = 40
NAME_CHARS = 80
_KINDS = (
    ("whole number", re.compile(r"[+-]?\d{1,18}")),
    ("number", re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)),
    ("number with decimal comma", re.compile(r"[+-]?\d{1,3}(\.?\d{3})*,\d+|[+-]?\d+,\d+")),
    ("number with thousands separators", re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")),
    ("true or false", re.compile(r"true|false|yes|no", re.IGNORECASE)),
    ("date", re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")),
    ("date, day or month first", re.compile(r"\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d\d)")),
)
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


def look(path: str, most_columns: int) -> dict[str, Any]:
    """Return what a table's columns are. Raises whatever its reader raises for what is no such table."""
    ending = path.rpartition(".")[2].lower()
    note = ""
    match ending:
        case "csv" | "tsv" | "txt":
            part, note = _text_table(Path(path))
            parts = [part]
        case "xlsx" | "xlsm":
            parts = list(_workbook(path))
        case "parquet":
            parts = [_parquet(path)]
        case "json" | "jsonl" | "ndjson":
            parts = [_json(Path(path), lines=ending != "json")]
        case _:
            raise ValueError("no table")
    for part in parts:
        if len(part["columns"]) > most_columns:
            part["more"] = len(part["columns"]) - most_columns
            part["columns"] = part["columns"][:most_columns]
    return {"path": path, "parts": parts, "note": note}


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return name, kind and first values of each column."""
    found = []
    for index, name in enumerate(names):
        values = [row[index] for row in rows if index < len(row)]
        known = [value for value in values if _text(value).strip().lower() not in _NOTHING]
        found.append([str(name)[:NAME_CHARS], kind_of(known), [_text(value) for value in known[:VALUES]]])
    return found


def kind_of(values: Sequence[Any]) -> str:
    """Return what kind of values these are, in words."""
    if not values:
        return "empty"
    if not all(isinstance(value, str) for value in values):
        kinds = sorted({type(value).__name__ for value in values})
        return " or ".join(kinds[:3])
    texts = [value.strip() for value in values]
    return next((kind for kind, shape in _KINDS if all(map(shape.fullmatch, texts))), "text")


def _text_table(path: Path) -> tuple[dict[str, Any], str]:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        whole = len(head) < HEAD_BYTES
        lines = head.count(b"\n")
        if not whole:
            lines += sum(chunk.count(b"\n") for chunk in _chunks(file))
        read, size = file.tell(), path.stat().st_size
    encoding = _encoding(head, whole=whole)
    text = head.decode(encoding, "replace")
    if not whole:
        text = text.rpartition("\n")[0]
    separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
    read_rows = csv.reader(StringIO(text, newline=""), delimiter=separator)
    rows = list(islice((row for row in read_rows if row), SAMPLE_ROWS + 1))
    if not rows:
        return {"name": "", "rows": 0, "about": False, "columns": []}, ""
    names, sample = _header(rows)
    count = lines + (not head.endswith(b"\n") if whole else 0) - (sample is not rows)
    if read < size:
        count = int(count * size / read)
    notes = [f"separator {separator!r}"] * (separator != ",") + [f"encoding {encoding}"] * (encoding != "utf-8")
    part = {
        "name": "",
        "rows": max(0, count),
        "about": read < size or b'"' in head,
        "columns": columns_of(names, sample),
    }
    return part, ", ".join(notes)


def _chunks(file: Any) -> Iterator[bytes]:
    while file.tell() < WHOLE_BYTES and (chunk := file.read(1024 * 1024)):
        yield chunk


def _encoding(head: bytes, *, whole: bool) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    try:
        # A character may be cut in two at the end of what was read.
        (head if whole else head[:-4]).decode()
    except UnicodeDecodeError as error:
        return "utf-8" if not whole and error.start > len(head) - 8 else "latin-1"
    return "utf-8"


def _separator(text: str) -> str:
    """Return what stands between the columns: what makes most columns of the same number in the first lines."""
    lines = text.splitlines()[:20]

    def columns(separator: str) -> int:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        return min(widths, default=0) if len(set(widths)) <= 2 else 0

    return max((",", ";", "\t", "|"), key=columns)


def _header(rows: list[list[Any]]) -> tuple[Sequence[str], list[list[Any]]]:
    """Return the names of the columns, and the rows without them. A first row with numbers in it names nothing."""
    first = [_text(value) for value in rows[0]]
    named = [name for name in first if name.strip()]
    if named and kind_of(named) == "text" and not any(kind_of([name]) != "text" for name in named):
        return [name or f"(column {number})" for number, name in enumerate(first, 1)], rows[1:]
    return [f"(column {number}, no name)" for number in range(1, len(first) + 1)], rows


def _workbook(path: str) -> Iterator[dict[str, Any]]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    for sheet in book.worksheets[:SHEETS]:
        rows = [list(row) for row in islice(sheet.iter_rows(values_only=True), SAMPLE_ROWS)]
        filled = [row for row in rows if any(value is not None for value in row)]
        names, sample = _header(filled) if filled else ((), [])
        count = max(0, (sheet.max_row or len(rows)) - (sample is not filled))
        yield {"name": sheet.title[:NAME_CHARS], "rows": count, "about": True, "columns": columns_of(names, sample)}


def _parquet(path: str) -> dict[str, Any]:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    first = next(file.iter_batches(batch_size=VALUES), None)
    columns = [
        [field.name[:NAME_CHARS], str(field.type)[:VALUE_CHARS], [] if first is None else _texts(first.column(index))]
        for index, field in enumerate(file.schema_arrow)
    ]
    return {"name": "", "rows": file.metadata.num_rows, "about": False, "columns": columns}


def _json(path: Path, *, lines: bool) -> dict[str, Any]:
    about = path.stat().st_size > WHOLE_BYTES
    if lines:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = [json.loads(line) for line in islice(file, SAMPLE_ROWS) if line.strip()]
            count = len(found) + sum(1 for line in islice(file, 1_000_000) if line.strip())
        return {"name": "", "rows": count, "about": about, "columns": _of_objects(found)}
    if about:
        raise ValueError("too large")
    value = json.loads(path.read_bytes())
    if isinstance(value, list):
        return {"name": "", "rows": len(value), "about": False, "columns": _of_objects(value[:SAMPLE_ROWS])}
    fields = value.items() if isinstance(value, dict) else [("(value)", value)]
    columns = [[str(name)[:NAME_CHARS], _shape(inner), [_text(inner)]] for name, inner in fields]
    return {"name": "one object", "rows": 1, "about": False, "columns": columns}


def _of_objects(items: Sequence[Any]) -> list[list[Any]]:
    names = dict.fromkeys(name for item in items if isinstance(item, dict) for name in item)
    if not names:
        return columns_of(["(value)"], [[item] for item in items])
    return columns_of(list(names), [[item.get(name, "") for name in names] for item in items if isinstance(item, dict)])


def _shape(value: Any) -> str:
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list | dict) else type(value).__name__


def _texts(values: Iterable[Any]) -> list[str]:
    return [_text(value.as_py()) for value in values]


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:VALUE_CHARS]


def main() -> None:
    """Answer the request on standard input: what cannot be read is left out."""
    limit_memory()
    request = json.load(sys.stdin)
    found = []
    for path in request["paths"]:
        try:
            found.append(look(path, request["columns"]))
        except Exception:  # noqa: S112 - whatever a broken file does to its reader
            continue
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
