"""The loop of one turn: what runs, what the model is told of it, when it ends, and that it can be stopped anywhere."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat import parts
from orchestrator.chat.approvals import Approvals, Decision
from orchestrator.chat.completion import ModelReply, ToolCall
from orchestrator.chat.turn import Turn
from orchestrator.config import Chat
from orchestrator.errors import ModelUnavailable, NotFound
from orchestrator.events import ApprovalAsked, EventLog, Notice, TurnFinished
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import MessageRecord
from orchestrator.store.sessions import SessionStore
from tests.unit.played import PlayedAsker, PlayedSession, Said, database_url, notices, of_type, plain_context, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """A session on a real database, and turns in it."""

    def __init__(self, conversation: ConversationStore, session: PlayedSession) -> None:
        self.conversation = conversation
        self.session = session

    def turn(self, *says: Said, asks: bool = False, **config: Any) -> tuple[Turn, PlayedAsker]:
        asker = PlayedAsker(*says)
        approvals = Approvals(asks=asks)
        context = plain_context(self.session.id)
        chat, session, store = Chat(**config), self.session, self.conversation
        return Turn("a", asker, context, session, store, chat, approvals), asker  # type: ignore[arg-type]

    async def play(self, *says: Said, **how: Any) -> tuple[Turn, PlayedAsker]:
        turn, asker = self.turn(*says, **how)
        turn.start(lambda: None)
        await until(lambda: not turn.running)
        return turn, asker

    async def answer(self) -> MessageRecord:
        (answer,) = await self.conversation.messages(self.session.id)
        return answer

    async def kinds(self) -> list[str]:
        return [part["type"] for part in (await self.answer()).parts]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = Database(database_url(tmp_path))
    await database.open()
    session = await SessionStore(database).add("ann", "n", "standard")
    conversation = ConversationStore(database)
    await conversation.add_messages(MessageRecord("a", session.id, "assistant", NOW, model="m", status="running"))
    yield World(conversation, PlayedSession(session.id, conversation))
    await database.close()


def ended(turn: Turn) -> TurnFinished:
    (event,) = of_type(turn.events, "turn_finished")
    assert isinstance(event, TurnFinished)
    return event


async def test_several_calls_in_one_reply_run_in_order(world: World) -> None:
    turn, asker = await world.play(["a = 1", "b = 2", "c = 3"], "done")
    assert world.session.ran == ["a = 1", "b = 2", "c = 3"]
    assert [result.splitlines()[0] for result in asker.last_results] == ["status: ok"] * 3
    assert await world.kinds() == ["cell", "cell", "cell", "text"]
    assert ended(turn).status == "done"


async def test_an_error_three_times_in_a_row_makes_the_model_try_another_way(world: World) -> None:
    same = [[f"raise KeyError profit{' ' * number}"] for number in range(3)]
    turn, asker = await world.play(*same, "I see.")
    assert parts.ANOTHER_WAY not in asker.told[2][-1]["content"]  # type: ignore[operator]
    assert parts.ANOTHER_WAY in asker.last_results[-1]
    assert notices(turn.events) == ["another_way"]
    assert [part["code"] for part in (await world.answer()).parts if part["type"] == "notice"] == ["another_way"]
    assert ended(turn).status == "done"


async def test_a_fourth_time_ends_the_turn_with_a_question(world: World) -> None:
    turn, _ = await world.play(*[["raise KeyError profit", "b"][:1]] * 4)
    assert notices(turn.events) == ["another_way", "same_error"]
    last = (await world.answer()).parts[-1]
    assert (last["type"], last["code"]) == ("notice", "same_error")
    assert "KeyError: profit" in last["text"] and last["text"].endswith("?")
    assert ended(turn) == TurnFinished("done", None)


async def test_the_same_call_that_makes_no_sense_counts_as_the_same(world: World) -> None:
    async def wrong(reply: ModelReply, events: EventLog) -> None:
        reply.calls = [ToolCall("x", "browse", "{}")]

    turn, asker = await world.play(wrong, wrong, wrong, "I see.")
    assert parts.ANOTHER_WAY in asker.last_results[-1]
    assert notices(turn.events) == ["another_way"]


async def test_different_errors_end_at_the_cap_and_that_is_said(world: World) -> None:
    turn, _ = await world.play(*[[f"raise KeyError {number}"] for number in range(9)], max_repairs=4)
    assert len(world.session.ran) == 5
    assert notices(turn.events) == ["repairs_used_up"]
    assert (await world.kinds())[-1] == "notice"
    assert (ended(turn).status, (ended(turn).problem or {})["code"]) == ("failed", "repairs_used_up")


async def test_an_answer_that_is_nothing_is_said_to_be_and_after_a_cell_it_is_fine(world: World) -> None:
    turn, _ = await world.play(" \n")
    assert (ended(turn).status, (ended(turn).problem or {})["code"]) == ("failed", "model_said_nothing")
    turn, _ = await world.play(["a = 1"], "")
    assert ended(turn) == TurnFinished("done", None)


async def test_nothing_that_was_explained_is_enough(world: World) -> None:
    async def cut(_reply: ModelReply, events: EventLog) -> None:
        events.append(Notice("reply_too_long", "The model's reply had no end and was cut off."))

    turn, _ = await world.play(cut)
    assert ended(turn) == TurnFinished("done", None)


async def test_what_worked_in_between_forgets_the_failures(world: World) -> None:
    fails, works = ["raise KeyError profit"], ["ok"]
    turn, _ = await world.play(fails, fails, works, fails, fails, works, fails, "done", max_repairs=2)
    assert notices(turn.events) == []
    assert ended(turn).status == "done"


async def test_the_last_of_the_replies_that_a_turn_has_is_said(world: World) -> None:
    turn, _ = await world.play(*[["a"]] * 3, max_rounds=3)
    assert notices(turn.events) == ["rounds_used_up"]
    assert (await world.kinds())[-1] == "notice"
    assert (ended(turn).problem or {})["code"] == "rounds_used_up"


@pytest.mark.parametrize("status", ["timeout", "out_of_memory", "sandbox_lost"])
async def test_a_cell_that_did_not_end_by_itself_is_told_as_such(world: World, status: str) -> None:
    _, asker = await world.play([status], "I see.")
    (result,) = asker.last_results
    assert result.startswith(f"status: {status}\n") and result.endswith("]")
    assert result.splitlines()[-1].startswith("[It " if status != "sandbox_lost" else "[The sandbox")


async def test_an_interrupted_cell_is_told_as_such_and_is_no_failure(world: World) -> None:
    turn, asker = world.turn(["hang"], "I see.", max_repairs=0)
    turn.start(lambda: None)
    await until(lambda: of_type(turn.events, "cell_started"))
    world.session.stop_cell("a")  # as POST …/interrupt does: the turn goes on
    await until(lambda: not turn.running)
    assert "Do not simply run it again" in asker.last_results[0]
    assert ended(turn).status == "done"


async def test_what_a_provider_does_is_kept_and_said(world: World) -> None:
    async def cut(reply: ModelReply, events: EventLog) -> None:
        reply.text = "half"
        events.append(Notice("reply_cut", "It broke off."))

    await world.play(cut)
    assert [(p["type"], p["text"]) for p in (await world.answer()).parts] == [
        ("text", "half"),
        ("notice", "It broke off."),
    ]


async def test_no_sandbox_ends_the_turn_and_what_is_left_is_told_as_not_run(world: World) -> None:
    turn, _ = await world.play(["a", "none", "b"])
    assert world.session.ran == ["a"]
    kept = (await world.answer()).parts
    assert [(part["type"], part["code"], part.get("reason")) for part in kept] == [
        ("cell", "a", None),
        ("rejected_call", "none", parts.ENDED),
        ("rejected_call", "b", parts.ENDED),
    ]
    assert (ended(turn).problem or {})["code"] == "sandbox_unavailable"


async def stopped(turn: Turn) -> None:
    """Stop a turn, which must not take more than the blink that a person waits."""
    async with asyncio.timeout(5):
        await turn.stop()
    assert not turn.running
    assert ended(turn) == TurnFinished("stopped", None)


async def test_stop_in_a_cell_tells_what_is_left_as_not_run(world: World) -> None:
    turn, _ = world.turn(["a", "hang", "b", "c"])
    turn.start(lambda: None)
    await until(lambda: len(of_type(turn.events, "cell_started")) == 2)
    await stopped(turn)
    answer = await world.answer()
    assert answer.status == "stopped"
    assert [(part["type"], part["code"], part.get("reason")) for part in answer.parts] == [
        ("cell", "a", None),
        ("cell", "hang", None),
        ("rejected_call", "b", parts.STOPPED),
        ("rejected_call", "c", parts.STOPPED),
    ]
    shown, results = parts.told(answer.parts, {})
    assert [part["type"] for part in shown] == ["cell"] * 4
    assert results[shown[2]["cell_id"]] == f"status: not_run\n[{parts.STOPPED}]"
    assert "stopped" in results[shown[1]["cell_id"]]


async def test_stop_while_a_cell_waits_for_a_sandbox_is_at_once(world: World) -> None:
    turn, _ = world.turn(["queued"])
    turn.start(lambda: None)
    await until(lambda: of_type(turn.events, "sandbox_state"))
    await stopped(turn)
    assert [part["reason"] for part in (await world.answer()).parts] == [parts.STOPPED]


async def test_stop_in_the_text_keeps_what_was_said(world: World) -> None:
    async def slow(reply: ModelReply, events: EventLog) -> None:
        reply.text = "The beginning"
        events.append(Notice("retrying", "The provider is busy."))
        await asyncio.Event().wait()

    turn, _ = world.turn(slow)
    turn.start(lambda: None)
    await until(lambda: notices(turn.events))
    await stopped(turn)
    assert await world.kinds() == ["text", "notice"]


async def test_stop_at_the_very_beginning_still_ends_with_a_word(world: World) -> None:
    turn, _ = world.turn("never said")
    turn.start(lambda: None)
    await stopped(turn)
    assert (await world.answer()).status == "stopped"


async def test_two_stops_at_once_wait_for_the_one_end(world: World) -> None:
    turn, _ = world.turn(["hang"])
    turn.start(lambda: None)
    await until(lambda: of_type(turn.events, "cell_started"))
    await asyncio.gather(turn.stop(), turn.stop(), turn.stop())
    assert ended(turn).status == "stopped"
    assert (await world.answer()).status == "stopped"


async def asked(turn: Turn, times: int = 1) -> ApprovalAsked:
    await until(lambda: len(of_type(turn.events, "approval_asked")) == times)
    event = of_type(turn.events, "approval_asked")[-1]
    assert isinstance(event, ApprovalAsked)
    return event


async def test_a_cell_waits_for_a_click_and_is_shown_meanwhile(world: World) -> None:
    turn, asker = world.turn(["a = 1"], "done", asks=True)
    turn.start(lambda: None)
    waiting = await asked(turn)
    assert world.session.ran == []
    (part,) = (await world.answer()).parts
    assert (part["type"], part["call_id"], part["code"]) == ("waiting_call", waiting.call_id, "a = 1")
    turn.approvals.give(waiting.call_id, Decision(run=True))
    with pytest.raises(NotFound):  # a double click
        turn.approvals.give(waiting.call_id, Decision(run=True))
    await until(lambda: not turn.running)
    assert world.session.ran == ["a = 1"]
    assert parts.EDITED not in asker.last_results[0]
    assert await world.kinds() == ["cell", "text"]


async def test_edited_code_runs_in_place_of_the_models_which_is_told_so(world: World) -> None:
    turn, asker = world.turn(["a = 1"], "done", asks=True)
    turn.start(lambda: None)
    turn.approvals.give((await asked(turn)).call_id, Decision(run=True, code="a = 2"))
    await until(lambda: not turn.running)
    assert world.session.ran == ["a = 2"]
    assert '{"code": "a = 2"}' in str(asker.told[-1])
    assert f"[{parts.EDITED}]" in asker.last_results[0]
    (given,) = of_type(turn.events, "approval_given")
    assert given.as_json() | {"call_id": ""} == {
        "type": "approval_given", "call_id": "", "decision": "run", "code": "a = 2"
    }  # fmt: skip


async def test_a_refusal_is_told_to_the_model_which_goes_on(world: World) -> None:
    turn, asker = world.turn(["rm -rf", "b"], "Sorry.", asks=True, max_repairs=0)
    turn.start(lambda: None)
    turn.approvals.give((await asked(turn)).call_id, Decision(run=False, code="ignored"))
    turn.approvals.give((await asked(turn, 2)).call_id, Decision(run=True))
    await until(lambda: not turn.running)
    assert world.session.ran == ["b"]
    assert asker.last_results[0] == f"status: not_run\n[{parts.REFUSED}]"
    assert ended(turn).status == "done"


async def test_the_click_for_one_call_does_not_run_another_with_the_models_same_id(world: World) -> None:
    turn, _ = world.turn(["a"], ["b"], "done", asks=True)
    turn.start(lambda: None)
    first = await asked(turn)
    turn.approvals.give(first.call_id, Decision(run=True))
    second = await asked(turn, 2)
    with pytest.raises(NotFound):
        turn.approvals.give(first.call_id, Decision(run=True))
    assert second.call_id != first.call_id
    await stopped(turn)
    assert world.session.ran == ["a"]


async def test_stop_while_a_call_waits_for_a_click_is_at_once_and_it_never_runs(world: World) -> None:
    turn, _ = world.turn(["a", "b"], asks=True)
    turn.start(lambda: None)
    waiting = await asked(turn)
    await stopped(turn)
    with pytest.raises(NotFound):
        turn.approvals.give(waiting.call_id, Decision(run=True))
    assert [(part["type"], part["reason"]) for part in (await world.answer()).parts] == [
        ("rejected_call", parts.STOPPED)
    ] * 2
    assert world.session.ran == []


async def test_whoever_turns_approval_on_in_the_middle_is_asked_from_the_next_cell_on(world: World) -> None:
    turn, _ = world.turn(["hang"], ["b"], "done")
    turn.start(lambda: None)
    await until(lambda: of_type(turn.events, "cell_started"))
    turn.approvals.asks = True
    world.session.stop_cell("a")
    await asked(turn)
    assert world.session.ran == ["hang"]
    await stopped(turn)


async def test_a_process_that_ends_leaves_the_cell_to_the_next_one(world: World) -> None:
    turn, _ = world.turn(["a", "hang", "b"])
    turn.start(lambda: None)
    await until(lambda: len(of_type(turn.events, "cell_started")) == 2)
    await turn.let_go()
    answer = await world.answer()
    assert answer.status == "lost"
    assert [part["code"] for part in answer.parts] == ["a"]
    cells = await world.conversation.cells(world.session.id)
    ((whole,), _) = parts.conversation_told([answer], cells, {})
    assert [part["code"] for part in whole.parts] == ["a", "hang"], "the model is told of the cell that nobody noted"


async def test_a_provider_that_fails_is_said_and_what_ran_stays(world: World) -> None:
    turn, _ = await world.play(["a"], ModelUnavailable("no", code="model_failed"))
    assert (ended(turn).problem or {})["code"] == "model_failed"
    assert await world.kinds() == ["cell"]
