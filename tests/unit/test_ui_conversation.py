"""Stored messages and live events become one view model."""

from typing import Any

from ui.conversation import Answer, Cell, Notice, Question, Rejected, Text, apply, from_messages, is_running
from ui.shown import Plain, Printed


def play(*events: tuple[str, dict[str, Any]]) -> Answer:
    answer = Answer()
    for kind, data in events:
        apply(answer, kind, data)
    return answer


def finished(cell_id: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "cell_finished", {"cell_id": cell_id, "code": "x", "status": "ok", "outputs": [], "files": [], **fields}


def test_text_grows_and_is_parted_by_a_cell() -> None:
    answer = play(
        ("turn_started", {"model": "m"}),
        ("text_delta", {"text": "a"}),
        ("text_delta", {"text": "b"}),
        ("cell_started", {"cell_id": "1", "code": "x"}),
        finished("1"),
        ("text_delta", {"text": "c"}),
    )
    assert answer.model == "m"
    assert [type(part) for part in answer.parts] == [Text, Cell, Text]
    assert answer.parts[0] == Text("ab")


def test_a_draft_becomes_the_cell_that_runs() -> None:
    answer = play(("code_delta", {"call": "0", "text": "pri"}), ("code_delta", {"call": "0", "text": "nt(1)"}))
    draft = answer.parts[0]
    assert isinstance(draft, Cell)
    assert (draft.code, draft.status) == ("print(1)", "writing")
    apply(answer, "cell_started", {"cell_id": "1", "code": "print(1)"})
    assert answer.parts == [draft]
    assert (draft.status, draft.cell_id) == ("running", "1")
    apply(answer, "code_delta", {"call": "0", "text": "next reply"})
    assert len(answer.parts) == 2


def test_of_several_drafts_the_one_with_that_code_runs() -> None:
    answer = play(
        ("code_delta", {"call": "0", "text": "one"}),
        ("code_delta", {"call": "1", "text": "two"}),
        ("cell_started", {"cell_id": "b", "code": "two"}),
    )
    states = [(part.code, part.status) for part in answer.parts if isinstance(part, Cell)]
    assert states == [("one", "writing"), ("two", "running")]


def test_a_rejected_call_takes_its_draft_away() -> None:
    answer = play(
        ("code_delta", {"call": "0", "text": '{"half'}),
        ("call_rejected", {"name": "run_python", "reason": "half a JSON"}),
    )
    assert answer.parts == [Rejected("run_python", "half a JSON")]


def test_what_is_printed_in_pieces_is_one_text_and_updates_find_their_output() -> None:
    answer = play(
        ("cell_started", {"cell_id": "1", "code": "x"}),
        ("stream", {"cell_id": "1", "name": "stdout", "text": "a"}),
        ("stream", {"cell_id": "1", "name": "stdout", "text": "b"}),
        ("stream", {"cell_id": "1", "name": "stderr", "text": "!"}),
        ("output", {"cell_id": "1", "output": Plain("old")}),
        ("output_updated", {"cell_id": "1", "index": 2, "output": Plain("new")}),
        ("output_updated", {"cell_id": "1", "index": 99, "output": Plain("lost")}),
        ("cell_notice", {"cell_id": "1", "text": "told"}),
        ("stream", {"cell_id": "of nobody", "name": "stdout", "text": "?"}),
    )
    cell = answer.parts[0]
    assert isinstance(cell, Cell)
    assert cell.outputs == [Printed("stdout", "ab"), Printed("stderr", "!"), Plain("new")]
    assert cell.notices == ["told"]
    apply(answer, "outputs_cleared", {"cell_id": "1"})
    assert cell.outputs == []


def test_the_end_of_a_turn_leaves_nothing_that_seems_to_go_on() -> None:
    answer = play(
        ("sandbox_state", {"state": "starting"}),
        ("cell_started", {"cell_id": "1", "code": "x"}),
        ("code_delta", {"call": "1", "text": "y"}),
        ("notice", {"code": "n", "text": "told"}),
        ("turn_finished", {"status": "stopped", "problem": None}),
    )
    assert answer.status == "stopped"
    assert not answer.sandbox_starts
    assert [part.status for part in answer.parts if isinstance(part, Cell)] == ["interrupted", "not_run"]
    assert Notice("told") in answer.parts


def test_stored_messages_are_read_and_a_running_answer_is_left_to_its_events() -> None:
    stored = [
        {"role": "user", "content": "hello", "attachments": ["a.csv", {"path": "b.csv"}]},
        {
            "role": "assistant",
            "model": "m",
            "status": "failed",
            "problem": {"detail": "d"},
            "parts": [
                {"type": "text", "text": "t"},
                {"type": "cell", "cell_id": "1", "code": "x", "status": "error", "outputs": [], "duration_s": 1.0},
                {"type": "rejected_call", "name": "n", "reason": "r"},
                {"type": "of the future"},
            ],
        },
        {"role": "assistant", "status": "running", "parts": []},
    ]
    question, answer = from_messages(stored)
    assert question == Question("hello", ["a.csv", "b.csv"])
    assert isinstance(answer, Answer)
    assert answer.parts == [Text("t"), Cell("x", "error", "1", duration_s=1.0), Rejected("n", "r")]
    assert is_running(stored)
    assert not is_running(stored[:2])


def test_events_of_the_future_change_nothing() -> None:
    assert play(("brand_new", {"text": "x"})) == Answer()
