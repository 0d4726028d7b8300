"""Stored messages and live events become one view model."""

from typing import Any

from ui.applying import apply
from ui.conversation import Answer, Cell, Notice, Question, Rejected, Text, files_of, from_messages, running_answer
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


def test_code_that_did_not_run_is_a_cell_and_no_mistake_of_the_model() -> None:
    """Seen to fail: the page said of a refused cell that the model had called it in a way that makes no sense."""
    for reason, status in (("Not run: the user refused to run this. Do", "refused"), ("Not run: it ended.", "not_run")):
        call = {"name": "run_python", "reason": reason, "code": "x = 1"}
        stored = {"id": "a", "role": "assistant", "status": "done", "parts": [{"type": "rejected_call", **call}]}
        (answer,) = from_messages([stored])
        assert isinstance(answer, Answer) and answer.parts == [Cell("x = 1", status)]
        assert play(("call_rejected", call)).parts == answer.parts


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


def test_a_look_at_a_picture_is_shown_as_it_happens_and_later() -> None:
    look = {"path": "a.png", "question": "How high?", "answer": "[seen by eye; all of it is data]\n42 m."}
    shown = [Notice("Another model looked at a.png. How high? 42 m.", "info")]
    assert play(("looked", look)).parts == shown
    stored = {"id": "a", "role": "assistant", "status": "done", "parts": [{"type": "look", **look}]}
    (answer,) = from_messages([stored])
    assert isinstance(answer, Answer) and answer.parts == shown


def test_stored_messages_are_read_and_a_running_answer_is_left_to_its_events() -> None:
    stored = [
        {
            "id": "q",
            "role": "user",
            "content": "hello",
            "attachments": ["a.csv", {"path": "b.csv"}],
            "siblings": ["q", "q2"],
        },
        {
            "id": "a",
            "siblings": ["a"],
            "role": "assistant",
            "model": "m",
            "status": "failed",
            "problem": {"detail": "d"},
            "parts": [
                {"type": "text", "text": "t", "reasoning": "r"},
                {"type": "notice", "code": "repaired", "text": "told"},
                {"type": "waiting_call", "call_id": "c", "code": "y"},
                {
                    "type": "cell",
                    "cell_id": "1",
                    "code": "x",
                    "status": "error",
                    "outputs": [],
                    "duration_s": 1.0,
                    "execution_count": 4,
                    "files": [{"path": "out.csv"}],
                },
                {"type": "rejected_call", "name": "n", "reason": "r"},
                {"type": "of the future"},
            ],
        },
        {"id": "r", "role": "assistant", "status": "running", "parts": [{"type": "text", "text": "half"}]},
    ]
    question, answer, running = from_messages(stored)
    assert question == Question("hello", ["a.csv", "b.csv"], "q", ["q", "q2"])
    assert isinstance(answer, Answer)
    assert answer.siblings == ["a"]
    assert answer.parts == [
        Text("t", "r"),
        Notice("told"),
        Cell("y", "not_run", call_id="c"),
        Cell("x", "error", "1", execution_count=4, duration_s=1.0, files=[{"path": "out.csv"}]),
        Rejected("n", "r"),
    ]
    assert running == Answer("r")
    assert running_answer([question, answer, running]) is running
    assert running_answer([question, answer]) is None
    assert files_of([question, answer]) == {"a.csv", "b.csv", "out.csv"}


def test_events_of_the_future_change_nothing() -> None:
    assert play(("brand_new", {"text": "x"})) == Answer()


def test_thoughts_come_before_what_is_said() -> None:
    answer = play(
        ("reasoning_delta", {"text": "h"}),
        ("reasoning_delta", {"text": "m"}),
        ("text_delta", {"text": "so"}),
        ("reasoning_delta", {"text": "again"}),
    )
    assert answer.parts == [Text("so", "hm"), Text("", "again")]


def test_a_reply_that_broke_off_is_taken_back_as_far_as_it_had_done_nothing() -> None:
    answer = play(
        ("text_delta", {"text": "a"}),
        ("cell_started", {"cell_id": "1", "code": "x"}),
        finished("1"),
        ("text_delta", {"text": "half"}),
        ("code_delta", {"call": "0", "text": "pri"}),
        ("reply_restarted", {"round": 2}),
    )
    assert [type(part) for part in answer.parts] == [Text, Cell]
    assert answer.drafts == {}


def test_a_cell_waits_and_runs_with_the_code_that_was_approved() -> None:
    answer = play(("code_delta", {"call": "0", "text": "rm"}), ("approval_asked", {"call_id": "c", "code": "rm"}))
    cell = answer.parts[0]
    assert isinstance(cell, Cell)
    assert (cell.status, cell.call_id) == ("waiting", "c")
    apply(answer, "approval_given", {"call_id": "c", "decision": "run", "code": "ls"})
    assert (cell.status, cell.code) == ("writing", "ls")
    apply(answer, "cell_started", {"cell_id": "1", "code": "ls"})
    assert answer.parts == [cell]
    assert (cell.status, cell.cell_id) == ("running", "1")


def test_a_cell_that_was_refused_never_runs() -> None:
    answer = play(
        ("approval_asked", {"call_id": "c", "code": "rm"}),
        ("approval_given", {"call_id": "c", "decision": "refuse", "code": "rm"}),
        ("approval_given", {"call_id": "of nobody", "decision": "run", "code": "x"}),
        ("turn_finished", {"status": "done", "problem": None}),
    )
    assert [part.status for part in answer.parts if isinstance(part, Cell)] == ["refused"]


def test_usage_is_kept_as_it_was_told_last() -> None:
    answer = play(("usage", {"tokens_in": 1}), ("usage", {"tokens_in": 5, "window": 10}))
    assert answer.usage == {"tokens_in": 5, "window": 10}
