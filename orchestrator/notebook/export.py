"""A conversation as a Jupyter notebook: text as Markdown, cells with their outputs. No I/O."""

from collections.abc import Sequence
from typing import Any

import nbformat

from orchestrator.notebook.fences import code_span, fenced, quoted
from orchestrator.notebook.timeline import Code, Note, NotRun, Question, Text, timeline
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

QUESTION_BEGINS = "**You:** "
_DID_NOT_END_BY_ITSELF = ("timeout", "interrupted", "out_of_memory", "sandbox_lost")


def notebook(session: SessionRecord, messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> bytes:
    """Return the conversation as an `.ipynb` file, which runs again in the session's workspace.

    What each cell was in the conversation stands in its metadata, so that an import makes the same of it.
    """
    entries: list[Any] = [_markdown(f"# {session.name}", role="title")]
    for entry in timeline(messages, cells):
        match entry:
            case Question():
                entries.append(_markdown(_question(entry), role="question"))
            case Text(text, reasoning):
                entries.append(_markdown(text, role="answer", reasoning=reasoning))
            case Code(cell):
                entries.append(code_cell(cell))
            case NotRun(code, reason):
                entries.append(_markdown(f"{quoted(reason)}\n\n{fenced(code, 'python')}", role="note"))
            case Note():
                pass  # of the turn that was, and of no use to whoever runs it again
    document = nbformat.v4.new_notebook(
        cells=entries,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "title": session.name,
        },
    )
    nbformat.validate(document)
    written: str = nbformat.writes(document)
    return written.encode()


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


def _markdown(source: str, **about: str) -> Any:
    metadata = {"glovebox": {name: value for name, value in about.items() if value}}
    return nbformat.v4.new_markdown_cell(source, metadata=metadata)


def _output(output: dict[str, Any], cell: CellRecord) -> dict[str, Any]:
    if output["output_type"] == "execute_result":
        return {**output, "execution_count": output.get("execution_count") or cell.execution_count}
    return output


def _question(question: Question) -> str:
    attached = "".join(f"\n- {code_span(name)}" for name in question.attachments)
    return f"{QUESTION_BEGINS}{question.text}" + (f"\n\nAttached:{attached}" if attached else "")
