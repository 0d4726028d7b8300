"""Notebooks that somebody hands in: read leniently, bounded, and checked as what a kernel sends."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from orchestrator.errors import SessionNotFound
from orchestrator.kernel.messages import Display, Failure, Stream
from orchestrator.limits import CODE_BYTES, NOTEBOOK_BYTES, NOTEBOOK_CELLS, RICH_OUTPUT_BYTES
from orchestrator.notebook.export import notebook
from orchestrator.notebook.intake import taken_in
from orchestrator.notebook.reading import BadNotebook, CodeCell, Notebook, TextCell, read_notebook
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.imported import ImportStore
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.store.tables import messages as message_rows
from orchestrator.store.tables import sessions as session_rows
from orchestrator.workspace.folder import SessionFolder

START = datetime(2026, 1, 1, tzinfo=UTC)
UID = 200_001 if os.getuid() == 0 else os.getuid()


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    made = SessionFolder(tmp_path / "s1", UID, 100 * 2**20)
    made.make()
    return made


def book(*cells: Any, **fields: Any) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)} | fields).encode()


def code(source: Any = "1", *outputs: Any, **fields: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs), "execution_count": 3}
    return cell | fields


def only_cell(content: bytes) -> CodeCell:
    (cell,) = read_notebook(content).cells
    assert isinstance(cell, CodeCell)
    return cell


def test_texts_and_cells_are_read_with_their_outputs() -> None:
    content = book(
        {"cell_type": "markdown", "metadata": {}, "source": ["# A\n", "text"]},
        code(
            ["x = 1\n", "x"],
            {"output_type": "stream", "name": "stderr", "text": ["a\n", "b"]},
            {"output_type": "display_data", "data": {"image/png": ["iVB", "OR"], "text/plain": "p"}, "metadata": {}},
            {"output_type": "execute_result", "data": {"text/plain": ["1"]}, "metadata": {}, "execution_count": 3},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
        ),
        {"cell_type": "raw", "metadata": {}, "source": "raw"},
        metadata={"title": " A \n title\x00 ", "kernelspec": {"name": "python3", "language": "python"}},
    )
    found = read_notebook(content)
    assert found.title == "A title"
    assert found.cells == [
        TextCell("# A\ntext", "", ""),
        CodeCell(
            "x = 1\nx",
            3,
            [
                Stream("stderr", "a\nb"),
                Display({"image/png": "iVBOR", "text/plain": "p"}, {}, None, None, update=False),
                Display({"text/plain": "1"}, {}, None, 3, update=False),
                Failure("E", "v", ("t",)),
            ],
        ),
        TextCell("```\nraw\n```", "", ""),
    ]


def test_a_notebook_of_format_3_is_read() -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": "Title", "metadata": {}},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "input": ["print 1"],
                        "prompt_number": 7,
                        "metadata": {},
                        "outputs": [
                            {"output_type": "stream", "stream": "stdout", "text": ["1\n"]},
                            {"output_type": "pyout", "prompt_number": 7, "text": ["2"], "html": "<b>2</b>"},
                            {"output_type": "display_data", "png": "iVBOR", "metadata": {}},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": []},
                        ],
                    },
                ]
            },
            {"cells": [{"cell_type": "markdown", "source": "second sheet"}]},
        ],
    }
    assert read_notebook(json.dumps(old).encode()).cells == [
        TextCell("## Title", "", ""),
        CodeCell(
            "print 1",
            7,
            [
                Stream("stdout", "1\n"),
                Display({"text/plain": "2", "text/html": "<b>2</b>"}, {}, None, 7, update=False),
                Display({"image/png": "iVBOR"}, {}, None, None, update=False),
                Failure("E", "v", ()),
            ],
        ),
        TextCell("second sheet", "", ""),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no valid JSON"),
        (b"\x89PNG\r\n", "no valid JSON"),
        (b"\xff\xfe{}", "no valid JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no 'nbformat'"),
        (b'{"nbformat": true}', "no 'nbformat'"),
        (b'{"nbformat": "4", "cells": []}', "no 'nbformat'"),
        (b'{"nbformat": 2, "cells": []}', "format is 2"),
        (b'{"nbformat": 5, "cells": []}', "format is 5"),
        (b'{"nbformat": 4}', "no list of 'cells'"),
        (b'{"nbformat": 4, "cells": {}}', "no list of 'cells'"),
        (b'{"nbformat": 3, "worksheets": 1}', "no list"),
        (b'{"nbformat": 3, "worksheets": [1]}', "no list of 'cells'"),
        (book(1), "Cell 1 has no text"),
        (book(code(), code(1)), "Cell 2 has no text"),
        (book(code([1])), "Cell 1 has no text"),
        (book({"cell_type": "sql", "source": ""}), "kind that is not known: 'sql'"),
        (book(code("x" * (CODE_BYTES + 1))), "too long"),
        (book(*[code()] * (NOTEBOOK_CELLS + 1)), "2,001 cells"),
        (book(metadata={"language_info": {"name": "R"}}), "'R'"),
        (book(metadata={"kernelspec": {"name": "ir", "language": "julia"}}), "'julia'"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b"[" + b"[]," * 1_100_000 + b"[]]", "values"),
        (b'{"nbformat": ' + b"9" * 5000 + b"}", "no valid JSON"),
    ],
)
def test_what_cannot_be_taken_is_told(content: bytes, told: str) -> None:
    with pytest.raises(BadNotebook, match=told) as raised:
        read_notebook(content)
    assert (raised.value.code, raised.value.status) == ("bad_notebook", 422)


def test_a_notebook_that_is_too_large_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.notebook.reading.NOTEBOOK_BYTES", 100)
    with pytest.raises(BadNotebook, match="too large"):
        read_notebook(b"{" * 101)
    assert NOTEBOOK_BYTES > 100


@pytest.mark.parametrize(
    "output",
    [
        1,
        {},
        {"output_type": "stream"},
        {"output_type": "stream", "name": "other", "text": "x"},
        {"output_type": "stream", "name": ["stdout"], "text": "x"},
        {"output_type": "execute_reply", "status": "ok"},
        {"output_type": "status", "execution_state": "idle"},
        {"output_type": "clear_output", "wait": False},
        {"output_type": ["stream"], "name": "stdout", "text": "x"},
        {"output_type": "display_data", "data": {"application/javascript": "alert(1)"}},
        {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}},
        {"output_type": "display_data", "data": {"text/plain": 1, "image/png": {"a": 1}}},
        {"output_type": "display_data", "data": []},
        {"output_type": "error", "ename": 1, "evalue": "v", "traceback": []},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": "t"},
    ],
)
def test_an_output_that_a_kernel_could_not_have_sent_is_dropped(output: Any) -> None:
    assert only_cell(book(code("1", output))).outputs == []


@pytest.mark.parametrize("outputs", [None, 1, {}, "x"])
def test_outputs_that_are_no_list_are_none(outputs: Any) -> None:
    assert only_cell(book(code(outputs=outputs))).outputs == []


@pytest.mark.parametrize("count", [None, True, -1, 2**40, "3", [1]])
def test_a_count_that_is_none_is_left_out(count: Any) -> None:
    assert only_cell(book(code(execution_count=count))).execution_count is None


def test_numbers_that_are_no_json_are_left_out_and_the_chart_stays() -> None:
    chart = b'{"data": [NaN, Infinity, 1e999, 1.5]}'
    content = book(code("1", {"output_type": "display_data", "data": {"application/vnd.plotly.v1+json": 0}}))
    output = only_cell(content.replace(b": 0}", b": " + chart + b"}")).outputs[0]
    assert isinstance(output, Display)
    assert output.data == {"application/vnd.plotly.v1+json": {"data": [None, None, None, 1.5]}}


def test_half_characters_and_zero_bytes_become_marks() -> None:
    assert only_cell(book(code("a\ud800b\x00c"))).code == "a?b\ufffdc"


KEYS = st.sampled_from(
    [
        *("cells", "worksheets", "nbformat", "metadata", "cell_type", "source", "input", "outputs", "output_type"),
        *("data", "text", "name", "traceback", "execution_count", "glovebox", "role", "level", "title"),
        *("language_info", "kernelspec"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=8,
)


@settings(max_examples=80)
@given(
    st.dictionaries(KEYS, VALUES, max_size=6),
    st.sampled_from([3, 4]),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=3),
)
def test_any_json_is_a_notebook_or_told_to_be_none(fields: Any, version: int, cells: Any) -> None:
    for document in (fields, fields | {"nbformat": version, "cells": cells, "worksheets": [{"cells": cells}]}):
        try:
            found = read_notebook(json.dumps(document).encode())
        except BadNotebook:
            continue
        assert isinstance(found, Notebook)


async def test_it_becomes_a_conversation_whose_cells_are_told_to_be_not_run(folder: SessionFolder) -> None:
    content = book(
        {"cell_type": "markdown", "source": "First."},
        {"cell_type": "markdown", "source": "Then."},
        code("print(1)", {"output_type": "stream", "name": "stdout", "text": "1\n"}),
        code("1/0", {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "", "traceback": []}),
        metadata={"title": "Mine"},
    )
    (question, answer), (one, two) = await taken_in(read_notebook(content), "s", folder)
    assert question.content == "I have imported the notebook “Mine”."
    assert [part["type"] for part in answer.parts] == ["text", "text", "text", "cell", "cell"]
    assert "None of the cells below has been run" in answer.parts[0]["text"]
    assert [part["round"] for part in answer.parts] == [0, 1, 1, 1, 2]
    assert (one.code, one.status, one.outputs) == (
        "print(1)",
        "ok",
        [{"output_type": "stream", "name": "stdout", "text": "1\n"}],
    )
    assert (two.status, two.message_id, answer.status) == ("error", answer.id, "done")


async def test_outputs_are_bounded_as_a_cells_are_and_what_is_too_large_becomes_a_file(folder: SessionFolder) -> None:
    picture = "A" * (RICH_OUTPUT_BYTES + 4)
    printed = "line\n" * 200_000
    content = book(
        code(
            "1",
            {"output_type": "display_data", "data": {"image/png": picture}},
            {"output_type": "stream", "name": "stdout", "text": printed},
            *[{"output_type": "display_data", "data": {"text/plain": "x"}}] * 150,
        )
    )
    _, (cell,) = await taken_in(read_notebook(content), "s", folder)
    assert cell.truncated
    assert len(cell.outputs) < 110
    assert sum(len(json.dumps(output)) for output in cell.outputs) < 700_000
    files = {file.path: file.size for file in folder.list_files()}
    assert files == {
        f"outputs/cell-{cell.cell_id[:8]}-1.png": len(picture) * 3 // 4,
        f"outputs/cell-{cell.cell_id[:8]}-stdout.txt": len(printed),
    }


async def test_what_was_exported_comes_back_as_the_conversation_that_it_was(folder: SessionFolder) -> None:
    session = SessionRecord("s", "o", "Round trip", "standard", 1, "t", "k", START, START)
    cell = CellRecord(
        "c" * 32, "s", "a1", "x", START, "ok", 2, [{"output_type": "stream", "name": "stdout", "text": "1"}]
    )
    messages = [
        MessageRecord("q1", "s", "user", START, content="One?"),
        MessageRecord(
            "a1",
            "s",
            "assistant",
            START,
            parts=[
                {"type": "text", "round": 0, "text": "I look.", "reasoning": "Hm."},
                {"type": "cell", "round": 0, "call_id": "c", "cell_id": cell.cell_id},
            ],
        ),
        MessageRecord("q2", "s", "user", START, content="**You:** two?"),
        MessageRecord("a2", "s", "assistant", START, parts=[{"type": "text", "round": 0, "text": "Two."}]),
    ]
    found = read_notebook(notebook(session, messages, [cell]))
    assert found.title == "Round trip"
    said, (again,) = await taken_in(found, "s2", folder)
    assert [one.content for one in said if one.role == "user"][1:] == ["One?", "**You:** two?"]
    assert [[part.get("text") for part in one.parts] for one in said if one.role == "assistant"][1:] == [
        ["I look.\n\n", None],
        ["Two.\n\n"],
    ]
    assert said[3].parts[0]["reasoning"] == "Hm."
    assert (again.code, again.outputs, again.execution_count) == (cell.code, cell.outputs, 2)


@pytest.fixture
def anywhere(tmp_path: Path) -> Callable[[], Database]:
    return lambda: Database(f"sqlite:///{tmp_path / 'db'}")


async def test_it_is_stored_as_one_branch_all_of_it_or_nothing(
    folder: SessionFolder, anywhere: Callable[[], Database]
) -> None:
    database = anywhere()
    await database.open()
    record = await SessionStore(database).add("somebody", "a session", "standard")
    conversation = ConversationStore(database)
    content = book(code("1"), {"cell_type": "markdown", "source": "a"}, code("2"))
    said, ran = await taken_in(read_notebook(content), record.id, folder)
    with pytest.raises(SessionNotFound):
        await ImportStore(database).add("gone", *await taken_in(read_notebook(content), "gone", folder))
    with pytest.raises(StatementError):
        await ImportStore(database).add(record.id, said, [ran[0], replace(ran[1], outputs=[{"a": object()}])])
    assert await conversation.messages(record.id) == await conversation.cells(record.id) == []
    await ImportStore(database).add(record.id, said, ran)
    assert [message.id for message in await conversation.messages(record.id)] == [message.id for message in said]
    assert [cell.code for cell in await conversation.cells(record.id)] == ["1", "2"]
    rows = await database.transact(lambda c: c.execute(select(message_rows).order_by(message_rows.c.number)).all())
    assert [row.parent_id for row in rows] == [None, *(message.id for message in said[:-1])]
    assert await database.transact(lambda c: c.scalar(select(session_rows.c.head))) == said[-1].id
    exported = nbformat.reads(
        notebook(record, await conversation.messages(record.id), await conversation.cells(record.id)).decode(), 4
    )
    nbformat.validate(exported)
    await database.close()
