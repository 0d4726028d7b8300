"""A conversation as a Jupyter notebook: text as Markdown, cells with their outputs. No I/O."""

from collections.abc import Sequence
from typing import Any

import nbformat

from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord, with_its_cells

_DID_NOT_END_BY_ITSELF = ("timeout", "interrupted", "out_of_memory", "sandbox_lost")


def notebook(session: SessionRecord, messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> bytes:
    """Return the conversation as an `.ipynb` file, which runs again in the session's workspace."""
    by_id = {cell.cell_id: cell for cell in cells}
    entries: list[Any] = [nbformat.v4.new_markdown_cell(f"# {session.name}")]
    told: set[str] = set()
    # Cells that were run without the model stand where they were run.
    timeline: list[MessageRecord | CellRecord] = [*messages, *(cell for cell in cells if cell.message_id is None)]
    for item in sorted(timeline, key=lambda entry: entry.created_at):
        if isinstance(item, CellRecord):
            entries.append(code_cell(item))
        elif item.role == "user":
            entries.append(nbformat.v4.new_markdown_cell(_question(item)))
        else:
            entries += _answer(item, by_id, told)
    document = nbformat.v4.new_notebook(
        cells=entries,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "title": session.name,
        },
    )
    nbformat.validate(document)
    text: str = nbformat.writes(document)
    return text.encode()


def code_cell(cell: CellRecord) -> Any:
    """Return one cell; one that failed is tagged so that a notebook that runs again goes on after it."""
    metadata: dict[str, Any] = {}
    if cell.status != "ok":
        metadata["tags"] = ["raises-exception"]
    outputs = [nbformat.from_dict(_output(output, cell)) for output in cell.outputs]
    source = cell.code
    if cell.status in _DID_NOT_END_BY_ITSELF:
        metadata["tags"].append("skip-execution")
    return nbformat.v4.new_code_cell(
        source, id=cell.cell_id, metadata=metadata, outputs=outputs, execution_count=cell.execution_count
    )


def _output(output: dict[str, Any], cell: CellRecord) -> dict[str, Any]:
    if output["output_type"] == "execute_result":
        return {**output, "execution_count": output.get("execution_count") or cell.execution_count}
    return output


def _question(message: MessageRecord) -> str:
    attached = "".join(f"\n- `{name}`" for name in message.attachments)
    return f"**You:** {message.content}" + (f"\n\nAttached:{attached}" if attached else "")


def _answer(message: MessageRecord, cells: dict[str, CellRecord], told: set[str]) -> list[Any]:
    entries = []
    for part in with_its_cells(message, cells.values()):
        if part["type"] == "text":
            entries.append(nbformat.v4.new_markdown_cell(part["text"].replace("sandbox:/mnt/data/", "")))
        elif part["type"] == "cell" and part["cell_id"] in cells and part["cell_id"] not in told:
            told.add(part["cell_id"])
            entries.append(code_cell(cells[part["cell_id"]]))
    return entries
