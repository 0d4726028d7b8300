"""What of an answer that broke off the next one begins with, and how whoever follows it is shown that."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.parts import STOPPED, UNDECIDED, not_run
from orchestrator.chat.resuming import carried_over, shown_again
from orchestrator.errors import BadRequest, Conflict
from orchestrator.store.records import CellRecord, MessageRecord
from tests.unit.chat_world import World, chat_world, said
from tests.unit.played import of_type, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAID = {"type": "text", "round": 0, "text": "I run this.", "reasoning": "Hm."}
RAN = {"type": "cell", "round": 0, "call_id": "c1", "cell_id": "1", "code": "a = 1"}
HALF = {"type": "text", "round": 1, "text": "And now I w"}
CELL = CellRecord("1", "s", "a", "a = 1", NOW, "ok", 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with chat_world(tmp_path) as made:
        yield made


def carried(*parts: dict[str, Any], cells: tuple[CellRecord, ...] = ()) -> list[dict[str, Any]]:
    return carried_over(MessageRecord("a", "s", "assistant", NOW, status="failed", parts=[*parts]), cells)


def test_a_reply_that_called_nothing_is_asked_for_anew() -> None:
    assert carried(SAID, RAN, HALF) == [SAID, RAN]
    assert carried(HALF | {"round": 0}) == carried() == []


def test_a_reply_whose_calls_ran_or_did_not_counts() -> None:
    stopped = not_run("c2", 1, "b = 2", STOPPED)
    assert carried(SAID, RAN, HALF, stopped) == [SAID, RAN, HALF, stopped]


def test_how_it_ended_is_of_no_use_and_what_was_told_before_is() -> None:
    early, late = ({"type": "notice", "round": n, "code": "x", "text": "t"} for n in (0, 1))
    assert carried(SAID, RAN, early, HALF, {**RAN, "round": 1}, late) == [SAID, RAN, early, HALF, {**RAN, "round": 1}]


def test_a_call_that_waited_did_not_run() -> None:
    waits = {"type": "waiting_call", "round": 0, "call_id": "name", "code": "a = 1", "of": "c1"}
    assert carried(SAID, waits) == [SAID, not_run("c1", 0, "a = 1", UNDECIDED)]


def test_a_cell_that_a_crash_came_before_is_carried_over_with_a_call_of_its_own() -> None:
    (_, cell) = carried(SAID, cells=(CELL,))
    assert (cell["cell_id"], cell["call_id"], cell["round"]) == ("1", "call_1", 0)


def test_who_follows_sees_all_of_it_from_the_beginning() -> None:
    rejected = {"type": "rejected_call", "round": 1, "call_id": "c", "name": "browse", "arguments": "", "reason": "no"}
    notice = {"type": "notice", "round": 1, "code": "another_way", "text": "t"}
    gone = {**RAN, "cell_id": "gone"}
    events = list(shown_again([SAID, RAN, gone, rejected, notice], {"1": CELL}))
    assert [event.type for event in events] == [
        "reasoning_delta", "text_delta", "cell_started", "cell_finished", "call_rejected", "notice",
    ]  # fmt: skip


def test_a_cell_that_still_runs_has_not_finished() -> None:
    running = CellRecord("1", "s", "a", "a = 1", NOW)
    assert [event.type for event in shown_again([RAN], {"1": running})] == ["cell_started"]


async def test_an_answer_that_broke_off_goes_on_and_runs_nothing_again(world: World) -> None:
    """Seen to fail when another answer began at the question: the model ran everything once more."""
    await world.say("demo:fail-forever")
    failed = (await world.shown())[1]
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "repairs_used_up")
    ran = [*world.session.ran]
    log = await world.again(failed["id"], resume=True)
    answer = (await world.shown())[1]
    assert answer["siblings"] == [failed["id"], answer["id"]]
    codes = [part["code"] for part in answer["parts"] if part["type"] == "cell"]
    assert codes[: len(ran)] == ran and len(codes) == len(set(codes)) == 2 * len(ran)
    assert world.session.ran == codes
    assert f"Attempt {len(ran) + 1}." in said(log), "the model knows what ran"
    assert [event.as_json()["code"] for event in of_type(log, "cell_started")] == codes
    assert len(of_type(log, "cell_finished")) == len(codes)
    await world.say("hello")
    assert [part["code"] for part in (await world.shown())[1]["parts"] if part["type"] == "cell"] == codes


async def test_an_answer_whose_cell_outlived_a_crash_goes_on_when_that_has_ended(world: World) -> None:
    log = await world.begin("demo:run hang")
    await until(lambda: of_type(log, "cell_started"))
    await world.chat.close()  # as this process does at its end; what runs goes on
    lost = (await world.shown())[1]
    assert (lost["status"], lost["parts"][-1]["status"]) == ("lost", "running")
    with pytest.raises(Conflict) as told:
        await world.again(lost["id"], resume=True)
    assert told.value.code == "cell_running"
    (cell,) = await world.chat._store.cells(world.session.id)
    await world.chat._store.finish_cell(replace(cell, status="ok"))
    assert "The tool said" in said(await world.again(lost["id"], resume=True)), "the model reads what it came to"
    assert world.session.ran == ["hang"]


async def test_only_an_answer_that_broke_off_can_go_on(world: World) -> None:
    await world.say("hello")
    for message in await world.shown():
        with pytest.raises(BadRequest) as told:
            await world.again(message["id"], resume=True)
        assert told.value.code == "nothing_to_resume"
    await world.say("demo:http-500")
    await world.again((await world.shown())[3]["id"], resume=True)
    assert (await world.shown())[3]["parts"] == [], "what had come to nothing is asked for anew"
