"""How a cell ends, decided from what its kernel said; and what is told of it: the tables of sessions/cell.py."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.connection import Lost
from orchestrator.kernel.messages import Clear, Display, Failure, Message, Reply, State, Stream
from orchestrator.sessions.ending import CellProgress, changes, ending
from orchestrator.workspace.folder import FoundFile

BUSY, IDLE = State("busy"), State("idle")
OK, ERROR, ABORTED = Reply("ok", 1), Reply("error", 1), Reply("aborted", None)
RAISED = Failure("KeyError", "'a'", ())
INTERRUPT = Failure("KeyboardInterrupt", "", ())
LOST = Lost("The kernel died.")
STATUSES = ["ok", "error", "timeout", "interrupted", "out_of_memory", "sandbox_lost"]


def progress(*messages: Message | Lost, interrupted: bool = False, timed_out: bool = False) -> CellProgress:
    made = CellProgress(interrupted=interrupted, timed_out=timed_out)
    for message in messages:
        made.take(message)
    return made


def file(path: str = "a", size: int = 1, changed_ns: int = 1) -> FoundFile:
    return FoundFile(path, size, changed_ns)


def files(*found: FoundFile) -> dict[str, FoundFile]:
    return {one.path: one for one in found}


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (BUSY,),
        (IDLE,),
        (BUSY, IDLE),
        (OK,),
        (BUSY, ERROR),
        (RAISED,),
        (State("starting"),),
        (Stream("stdout", "a"),),
    ],
)
def test_a_cell_without_both_reply_and_idle_is_not_done(messages: Sequence[Message]) -> None:
    assert not progress(*messages).done


@pytest.mark.parametrize("order", list(permutations([BUSY, IDLE, OK])))
def test_a_cell_with_reply_and_idle_is_done_in_any_order(order: tuple[Message, ...]) -> None:
    assert progress(*order).done
    assert progress(*order).status(out_of_memory=False) == "ok"


@pytest.mark.parametrize("before", [(), (BUSY,), (OK,), (IDLE,), (BUSY, RAISED)])
def test_a_cell_whose_kernel_is_lost_is_done(before: tuple[Message, ...]) -> None:
    assert progress(*before, LOST).done


def test_output_says_nothing_about_the_end() -> None:
    shown = Display({"text/plain": "1"}, {}, None, None, update=False)
    assert progress(Stream("stdout", "idle"), shown, Clear(wait=True)) == CellProgress()


@pytest.mark.parametrize(
    ("messages", "interrupted", "timed_out", "out_of_memory", "status"),
    [
        # by itself
        ((OK, IDLE), False, False, False, "ok"),
        ((RAISED, ERROR, IDLE), False, False, False, "error"),
        ((ERROR,), False, False, False, "error"),
        ((ABORTED, IDLE), False, False, False, "error"),
        ((RAISED, OK, IDLE), False, False, False, "ok"),  # an error that was shown, not raised
        ((OK, LOST), False, False, False, "error"),  # it replied, but what it showed may never have come
        ((ERROR, LOST), False, False, True, "error"),
        # a KeyboardInterrupt that nobody asked for is an error like any other
        ((INTERRUPT, ERROR, IDLE), False, False, False, "error"),
        ((INTERRUPT, ERROR, IDLE), True, False, False, "interrupted"),
        ((ABORTED, IDLE), True, False, False, "interrupted"),
        ((OK, IDLE), True, False, False, "ok"),  # it ended before the interrupt came
        ((RAISED, ERROR, IDLE), True, False, False, "error"),
        ((INTERRUPT, RAISED, ERROR, IDLE), True, False, False, "error"),  # raised while it handled the interrupt
        # lost
        ((LOST,), False, False, False, "sandbox_lost"),
        ((BUSY, IDLE, LOST), False, False, False, "sandbox_lost"),
        ((LOST,), False, False, True, "out_of_memory"),
        ((LOST,), True, False, False, "interrupted"),
        ((LOST,), True, False, True, "interrupted"),
        ((), False, False, False, "sandbox_lost"),
        ((), True, False, False, "interrupted"),
        # out of time
        ((INTERRUPT, ERROR, IDLE), False, True, False, "timeout"),
        ((OK, IDLE), False, True, False, "timeout"),
        ((LOST,), False, True, True, "timeout"),
        ((), False, True, False, "timeout"),
        ((INTERRUPT, ERROR, IDLE), True, True, False, "timeout"),
    ],
)
def test_the_status_of_a_cell(
    messages: tuple[Message | Lost, ...], interrupted: bool, timed_out: bool, out_of_memory: bool, status: str
) -> None:
    made = progress(*messages, interrupted=interrupted, timed_out=timed_out)
    assert made.status(out_of_memory=out_of_memory) == status


MESSAGES = st.sampled_from([BUSY, IDLE, OK, ERROR, ABORTED, RAISED, INTERRUPT, LOST, State("dead"), Clear(wait=False)])


@given(st.lists(MESSAGES), st.booleans(), st.booleans(), st.booleans())
def test_any_conversation_has_a_known_end_that_can_be_told(
    messages: list[Message | Lost], interrupted: bool, timed_out: bool, out_of_memory: bool
) -> None:
    made = progress(*messages, interrupted=interrupted, timed_out=timed_out)
    status = made.status(out_of_memory=out_of_memory)
    assert status in STATUSES
    told = ending(made, status, 5.0)
    if status in ("timeout", "out_of_memory", "sandbox_lost"):
        assert told is not None
    if told is not None:
        kernel_gone = made.reply is None if made.lost is None else not made.lost.variables_kept
        kept = "Variables are lost, files are kept." if kernel_gone else "Variables and files are kept."
        assert told[1].endswith(kept)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (progress(OK, IDLE), None),
        (progress(RAISED, ERROR, IDLE), None),
        (progress(INTERRUPT, ERROR, IDLE, interrupted=True), None),
        (
            progress(LOST, interrupted=True),
            ("Interrupted", "The cell did not heed the interrupt, so its kernel was ended."),
        ),
        (progress(INTERRUPT, ERROR, timed_out=True), ("CellTimeout", "The cell was stopped after its limit of 2.5 s.")),
        (progress(LOST, timed_out=True), ("CellTimeout", "The cell was stopped after its limit of 2.5 s.")),
        (progress(LOST), ("SandboxLost", "The kernel died.")),
        (progress(), ("SandboxLost", "The kernel did not answer.")),
        (progress(OK, LOST), ("OutputLost", "The kernel died.")),
    ],
)
def test_what_is_told_of_an_end(made: CellProgress, told: tuple[str, str] | None) -> None:
    found = ending(made, made.status(out_of_memory=False), 2.5)
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], found[1].startswith(told[1])) == (told[0], True)


def test_running_out_of_memory_is_told() -> None:
    text = "The sandbox ran out of memory. Variables are lost, files are kept."
    assert ending(progress(LOST), "out_of_memory", 1) == ("OutOfMemory", text)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (files(), files(), []),
        (files(), files(file()), [("a", "created")]),
        (files(file()), files(file()), []),
        (files(file()), files(file(size=2)), [("a", "changed")]),
        (files(file()), files(file(changed_ns=2)), [("a", "changed")]),
        (files(file()), files(), []),  # gone files are not listed
        (files(file("a"), file("b")), files(file("c"), file("b", 9)), [("b", "changed"), ("c", "created")]),
        (
            files(),
            files(file("z"), file("d/e"), file("d/a")),
            [("d/a", "created"), ("d/e", "created"), ("z", "created")],
        ),
    ],
)
def test_the_files_that_a_cell_created_or_changed(
    before: dict[str, FoundFile], after: dict[str, FoundFile], told: list[tuple[str, str]]
) -> None:
    found: list[dict[str, Any]] = changes(before, after)
    assert [(one["path"], one["change"]) for one in found] == told
    assert all(one["size"] == after[one["path"]].size for one in found)
