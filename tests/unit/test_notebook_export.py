"""A conversation as a notebook: valid, in order, and made so that it runs again past what failed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import nbformat
import pytest

from orchestrator.notebook.export import notebook
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = SessionRecord("s", "local", "Sales 数", "standard", 200_001, "token", "kernel", START, START)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def asked(second: int, content: str, *attachments: str) -> MessageRecord:
    return MessageRecord(f"q{second}", "s", "user", at(second), content=content, attachments=list(attachments))


def answered(second: int, *parts: dict[str, Any], status: str = "done") -> MessageRecord:
    return MessageRecord(f"a{second}", "s", "assistant", at(second), status=status, parts=list(parts))


def ran(cell_id: str, second: int = 0, **fields: Any) -> CellRecord:
    values: dict[str, Any] = {"message_id": "a", "code": f"run({cell_id})", "status": "ok", "execution_count": 1}
    return CellRecord(cell_id=f"{cell_id:0<32}", session_id="s", created_at=at(second), **(values | fields))


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "round": 0, "text": text}


def part(cell: CellRecord) -> dict[str, Any]:
    return {"type": "cell", "round": 0, "call_id": "c", "cell_id": cell.cell_id, "code": cell.code}


def exported(messages: list[MessageRecord], cells: list[CellRecord], session: SessionRecord = SESSION) -> Any:
    """Export, and read as any Jupyter would."""
    document = nbformat.reads(notebook(session, messages, cells).decode(), as_version=4)
    nbformat.validate(document)
    return document


def sources(document: Any) -> list[str]:
    return [cell["source"] for cell in document.cells]


def test_an_empty_session_is_a_valid_notebook_with_its_name() -> None:
    document = exported([], [])
    assert sources(document) == ["# Sales 数"]
    assert document.metadata["title"] == "Sales 数"
    assert document.metadata["kernelspec"]["name"] == "python3"


def test_a_turn_with_text_and_cells_keeps_its_order() -> None:
    one, two = ran("1"), ran("2")
    answer = answered(1, said("I look."), part(one), said("And now"), said("again."), part(two), said("Done."))
    document = exported([asked(0, "How much?", "a.csv", "d/b.csv"), answer], [one, two])
    assert sources(document) == [
        "# Sales 数",
        "**You:** How much?\n\nAttached:\n- `a.csv`\n- `d/b.csv`",
        "I look.",
        "run(1)",
        "And now",
        "again.",
        "run(2)",
        "Done.",
    ]
    kinds = [cell["cell_type"] for cell in document.cells]
    assert kinds == ["markdown", "markdown", "markdown", "code", "markdown", "markdown", "code", "markdown"]


def test_cells_without_a_message_stand_where_they_were_run() -> None:
    first, between, last = (ran(name, second, message_id=None) for name, second in (("f", 1), ("b", 25), ("l", 99)))
    inside = ran("i", 12)
    messages = [asked(10, "one"), answered(10, part(inside)), asked(30, "two"), answered(30, said("done"))]
    assert sources(exported(messages, [inside, last, first, between]))[1:] == [
        "run(f)",
        "**You:** one",
        "run(i)",
        "run(b)",
        "**You:** two",
        "done",
        "run(l)",
    ]


def test_outputs_of_every_kind_are_kept() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\nb 数\n"},
        {"output_type": "stream", "name": "stderr", "text": "warning"},
        {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}, "metadata": {}},
        {
            "output_type": "display_data",
            "data": {"application/vnd.plotly.v1+json": {"data": [1.5, None]}, "text/html": "<b>"},
            "metadata": {"image/png": {"width": 1}},
        },
        {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 4},
        {"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": ["\x1b[31ma\x1b[0m", "b"]},
    ]
    cell = ran("1", outputs=outputs, execution_count=4)
    (code,) = exported([answered(0, part(cell))], [cell]).cells[1:]
    assert json.loads(json.dumps(code["outputs"])) == outputs
    assert code["execution_count"] == 4


def test_a_value_without_a_count_takes_that_of_its_cell() -> None:
    value = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}}
    cell = ran("1", outputs=[value], execution_count=9, message_id=None)
    assert exported([], [cell]).cells[1]["outputs"][0]["execution_count"] == 9
    assert "execution_count" not in value  # the record stays as it is


@pytest.mark.parametrize(
    ("status", "tags"),
    [
        ("ok", None),
        ("error", ["raises-exception"]),
        ("timeout", ["raises-exception", "skip-execution"]),
        ("interrupted", ["raises-exception", "skip-execution"]),
        ("out_of_memory", ["raises-exception", "skip-execution"]),
        ("sandbox_lost", ["raises-exception", "skip-execution"]),
    ],
)
def test_a_cell_that_failed_is_tagged_so_that_the_rest_runs_again(status: str, tags: list[str] | None) -> None:
    cell = ran("1", status=status, execution_count=None, message_id=None)
    assert exported([], [cell]).cells[1]["metadata"].get("tags") == tags


def test_a_cell_that_still_runs_is_there_without_its_end() -> None:
    cell = ran("1", status="running", execution_count=None, message_id=None)
    code = exported([answered(0, said("a"), status="running")], [cell]).cells[2]
    assert (code["execution_count"], code["outputs"]) == (None, [])


def test_links_into_the_workspace_become_relative() -> None:
    text = "See [it](sandbox:/mnt/data/d/a.csv) and ![p](sandbox:/mnt/data/p.png)."
    assert sources(exported([answered(0, said(text))], []))[1] == "See [it](d/a.csv) and ![p](p.png)."


def test_a_cell_is_there_once_even_if_it_is_named_twice_and_missing_ones_are_left_out() -> None:
    cell, gone = ran("1"), ran("9")
    rejected = {"type": "rejected_call", "round": 0, "call_id": "r", "name": "x", "arguments": "{", "reason": "no"}
    document = exported([answered(0, part(cell), part(cell), part(gone), rejected)], [cell])
    assert sources(document)[1:] == ["run(1)"]


def test_all_cells_have_ids_of_their_own() -> None:
    cells = [CellRecord(f"abcdefab{number:024}", "s", None, "1", at(number), "ok") for number in range(20)]
    ids = [cell["id"] for cell in exported([asked(0, "a")], cells).cells]
    assert len(set(ids)) == len(ids) == 22


def test_any_text_makes_a_valid_notebook() -> None:
    nasty = "</script>\x00\x1b[31m ``` \\ \u2028 \u202e😀"
    session = SessionRecord("s", "local", nasty, "standard", 1, "t", "k", START, START)
    cell = ran("1", code=nasty, outputs=[{"output_type": "stream", "name": "stdout", "text": nasty}])
    document = exported([asked(0, nasty, nasty), answered(0, said(nasty), part(cell))], [cell], session)
    assert document.cells[3]["source"] == nasty
