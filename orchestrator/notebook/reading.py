"""A notebook that somebody hands in, as typed values. Hostile like any upload: bounded, and only what is known is kept.

Notebooks of the formats 3 and 4 are read leniently, since much is about that no schema would take: what makes no sense
as an output is dropped, what makes none as a cell is refused. Outputs are handed on as a kernel would send them, for
the same checks to be made of them. No I/O.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import BadRequest
from orchestrator.kernel.frames import Frame, has_too_many_values
from orchestrator.kernel.messages import Display, Failure, Stream, clean, is_json_mime_type, parse_message
from orchestrator.limits import CODE_BYTES, MIB, NAME_CHARS, NOTEBOOK_BYTES, NOTEBOOK_CELLS, NOTEBOOK_VALUES
from orchestrator.notebook.fences import fenced

_FORMATS = (3, 4)
_KINDS = {"pyout": "execute_result", "pyerr": "error"}
_KEYS_OF_3 = {
    "text": "text/plain",
    "html": "text/html",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "latex": "text/latex",
}
_MOST_HEADING = 6
Output = Stream | Display | Failure


class BadNotebook(BadRequest):
    """A file that is no notebook, or one that cannot be taken."""

    code = "bad_notebook"
    title = "That is no notebook that can be imported"


@dataclass(frozen=True, slots=True)
class TextCell:
    """Markdown. `role` tells what it was in the conversation that a notebook of ours was made from."""

    text: str
    role: str
    reasoning: str


@dataclass(frozen=True, slots=True)
class CodeCell:
    """Code with the outputs that were stored with it."""

    code: str
    execution_count: int | None
    outputs: list[Output]


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook: its title, which may be empty, and its cells."""

    title: str
    cells: list[TextCell | CodeCell]


def read_notebook(content: bytes) -> Notebook:
    """Return the notebook in a file.

    Raises:
        BadNotebook: it is none, of a format or language that is not known here, or larger than what is taken.

    """
    document = _parsed(content)
    version = document.get("nbformat")
    if type(version) is not int:
        raise BadNotebook("The file is no Jupyter notebook: it has no 'nbformat'.")
    if version not in _FORMATS:
        raise BadNotebook(f"Its format is {version}, and only 3 and 4 are read: save it again with a current Jupyter.")
    metadata = _object(document.get("metadata"))
    _check_language(metadata)
    raw = list(_raw_cells(document))
    if len(raw) > NOTEBOOK_CELLS:
        raise BadNotebook(f"It has {len(raw):,} cells; a notebook may have {NOTEBOOK_CELLS:,}.")
    title = metadata.get("title")
    return Notebook(_title(title), [_cell(number, one) for number, one in enumerate(raw, 1)])


def _parsed(content: bytes) -> dict[str, Any]:
    if len(content) > NOTEBOOK_BYTES:
        raise BadNotebook(f"It is too large: a notebook may have {NOTEBOOK_BYTES // MIB} MiB.")
    if has_too_many_values(content, NOTEBOOK_VALUES):
        raise BadNotebook(f"It has too much in it: a notebook may have {NOTEBOOK_VALUES:,} values.")
    try:
        # Python writes NaN into notebooks, which is no JSON; whoever drew that chart still wants the rest of it.
        document = json.loads(content.decode("utf-8-sig"), parse_constant=lambda _name: None, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        told = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise BadNotebook(f"The file is no notebook: it is no valid JSON ({told}).") from error
    if not isinstance(document, dict):
        raise BadNotebook("The file is no notebook: it is no JSON object.")
    return document


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _raw_cells(document: dict[str, Any]) -> Iterator[Any]:
    sheets = document.get("worksheets", []) if document["nbformat"] == 3 else [document]
    if not isinstance(sheets, list):
        raise BadNotebook("Its 'worksheets' are no list.")
    for sheet in sheets:
        cells = _object(sheet).get("cells")
        if not isinstance(cells, list):
            raise BadNotebook("It has no list of 'cells'.")
        yield from cells


def _cell(number: int, cell: Any) -> TextCell | CodeCell:
    about = _object(cell)
    kind = about.get("cell_type")
    source = _text(about.get("source", about.get("input")))
    if source is None:
        raise BadNotebook(f"Cell {number} has no text in it.")
    if len(source.encode()) > CODE_BYTES:
        raise BadNotebook(f"Cell {number} is too long: a cell may have {CODE_BYTES // MIB} MiB.")
    ours = _object(_object(about.get("metadata")).get("glovebox"))
    match kind:
        case "code":
            count = about.get("execution_count", about.get("prompt_number"))
            return CodeCell(source, count if type(count) is int and 0 <= count < 2**31 else None, list(_outputs(about)))
        case "markdown" | "html":
            return TextCell(source, _text(ours.get("role")) or "", _text(ours.get("reasoning")) or "")
        case "raw":
            return TextCell(fenced(source), "", "")
        case "heading":
            level = about.get("level")
            marks = "#" * (level if type(level) is int and 1 <= level <= _MOST_HEADING else 1)
            return TextCell(f"{marks} {source}", "", "")
    raise BadNotebook(f"Cell {number} is of a kind that is not known: {str(kind)[:40]!r}.")


def _outputs(cell: dict[str, Any]) -> Iterator[Output]:
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        about = _object(output)
        name = about.get("output_type")
        kind = _KINDS.get(name, name) if isinstance(name, str) else None
        message = parse_message(Frame("iopub", {"msg_type": kind}, {}, {}, _as_sent(about, str(kind))))
        if message is not None and isinstance(message, Stream | Display | Failure):
            yield message


def _as_sent(output: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return an output as the content of a kernel's message: texts that are lists of lines become one."""
    match kind:
        case "stream":
            # Format 3 has the name in `stream`, and may leave it out.
            return {"name": output.get("name") or output.get("stream") or "stdout", "text": _text(output.get("text"))}
        case "display_data" | "execute_result":
            data = output.get("data")
            if not isinstance(data, dict):
                data = {mime_type: output[key] for key, mime_type in _KEYS_OF_3.items() if key in output}
            return {
                "data": {name: value if is_json_mime_type(name) else _text(value) for name, value in data.items()},
                "metadata": output.get("metadata"),
                "execution_count": output.get("execution_count", output.get("prompt_number")),
            }
        case "error":
            return {name: output.get(name) for name in ("ename", "evalue", "traceback")}
    return {}


def _check_language(metadata: dict[str, Any]) -> None:
    info, kernel = _object(metadata.get("language_info")), _object(metadata.get("kernelspec"))
    language = info.get("name") or kernel.get("language")
    if isinstance(language, str) and "python" not in language.lower():
        raise BadNotebook(f"It is written in {language[:40]!r}, and only Python runs here.")


def _title(value: Any) -> str:
    text = "".join(c if c.isprintable() else " " for c in value) if isinstance(value, str) else ""
    return " ".join(clean(text).split())[:NAME_CHARS].strip()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    """Return a text, given as one or as a list of lines, or None where it is neither."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    return clean(value).replace("\x00", "\ufffd") if isinstance(value, str) else None
