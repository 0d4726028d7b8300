"""The chat service on a real database and the demo model over HTTP: branches, models, one's own code, decisions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.chat.approvals import Decision
from orchestrator.chat.turn_maker import instructions
from orchestrator.config_models import DEMO_MODEL
from orchestrator.errors import BadRequest, Conflict, GloveboxError, ModelUnavailable, NotFound
from orchestrator.events import ApprovalAsked, EventLog
from tests.unit.chat_world import ANSWER, World, asked, begun, chat_world, said, whole
from tests.unit.played import of_type, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with chat_world(tmp_path) as made:
        yield made


async def test_each_message_hangs_on_the_one_before_it(world: World) -> None:
    for content in ("hello", "again"):
        await world.say(content)
    first, second, third, fourth = await world.shown()
    assert [one["parent_id"] for one in (first, second, third, fourth)] == [
        None,
        *(x["id"] for x in (first, second, third)),
    ]
    assert all(one["siblings"] == [one["id"]] for one in (first, second, third, fourth))


async def test_an_edited_message_takes_the_place_of_the_old_one_which_can_be_shown_again(world: World) -> None:
    await world.say("one")
    await world.say("two")
    await world.say("three")
    old = (await world.shown())[2]
    await world.say("two, edited", edits=old["id"])
    assert await world.contents() == ["one", "two, edited"]
    new = (await world.shown())[2]
    assert new["siblings"] == [old["id"], new["id"]] and new["parent_id"] == old["parent_id"]
    await world.chat.show(world.session.id, old["id"])
    assert await world.contents() == ["one", "two", "three"]
    await world.say("four")
    assert await world.contents() == ["one", "two", "three", "four"]


async def test_the_first_message_can_be_edited(world: World) -> None:
    await world.say("one")
    await world.say("another", edits=(await world.shown())[0]["id"])
    first = (await world.shown())[0]
    assert (first["parent_id"], len(first["siblings"]), first["content"]) == (None, 2, "another")


async def test_another_answer_is_a_branch_and_its_model_reads_nothing_of_the_first(world: World) -> None:
    await world.say("demo:run print('a')")
    question, answer = await world.shown()
    for named in (question["id"], answer["id"]):
        log = await world.again(named)
        assert begun(log).user_message_id == question["id"]
        assert "I run this." in said(log), "the demo model would quote the cell of an answer that it can see"
    last = (await world.shown())[1]
    assert len(last["siblings"]) == 3 and last["siblings"][0] == answer["id"]
    assert len(world.session.ran) == 3
    assert len(await world.contents()) == 1


async def test_a_failed_turn_is_tried_again_with_one_call(world: World) -> None:
    await world.say("demo:http-500")
    failed = (await world.shown())[1]
    assert failed["status"] == "failed"
    await world.again(failed["id"])
    assert (await world.shown())[1]["siblings"][0] == failed["id"]


async def test_what_is_edited_must_be_a_question_of_this_conversation(world: World) -> None:
    await world.say("one")
    answer = (await world.shown())[1]
    with pytest.raises(BadRequest) as told:
        await world.begin("x", edits=answer["id"])
    assert told.value.code == "not_a_question"
    for ask in (world.begin("x", edits="gone"), world.again("gone"), world.chat.show(world.session.id, "gone")):
        with pytest.raises(NotFound):
            await ask
    assert len(await world.shown()) == 2


async def test_a_deleted_turn_is_gone_and_what_followed_stays(world: World) -> None:
    for content in ("one", "two", "three"):
        await world.say(content)
    await world.chat.delete_turn(world.session.id, (await world.shown())[3]["id"])
    assert await world.contents() == ["one", "three"]
    await world.say("four")
    assert await world.contents() == ["one", "three", "four"]


async def test_while_a_turn_runs_nothing_else_changes_the_conversation(world: World) -> None:
    log = await world.begin("demo:run hang")
    await until(lambda: of_type(log, "cell_started"))
    question = begun(log).user_message_id
    for change in (
        world.begin("me too"),
        world.again(question),
        world.chat.show(world.session.id, question),
        world.chat.delete_turn(world.session.id, question),
    ):
        with pytest.raises(Conflict) as told:
            await change
        assert told.value.code == "turn_running"
    await world.chat.stop(world.session.id)
    assert [one.get("status") for one in await world.shown()] == [None, "stopped"]


async def test_two_messages_at_once_make_one_turn(world: World) -> None:
    found = await asyncio.gather(*(world.begin(f"{n}") for n in range(5)), return_exceptions=True)
    logs = [one for one in found if isinstance(one, EventLog)]
    assert len(logs) == 1 and [type(one) for one in found].count(Conflict) == 4
    await whole(logs[0])
    assert len(await world.shown()) == 2


async def test_a_stop_that_comes_before_the_turn_has_begun_still_stops_it(world: World) -> None:
    beginning = asyncio.create_task(world.begin("demo:slow"))
    await until(lambda: world.chat._busy)
    await world.chat.stop(world.session.id)
    await whole(await beginning)
    assert (await world.shown())[1]["status"] == "stopped"
    await world.say("hello")
    assert (await world.shown())[3]["status"] == "done"


@pytest.mark.parametrize("content", ["!x = 1", "/run x = 1", "/run\n    x = 1\n", "!   x = 1"])
async def test_ones_own_code_runs_without_a_model(world: World, content: str) -> None:
    log = await world.say(content)
    assert world.session.ran == ["x = 1"]
    assert (begun(log).model, of_type(log, "text_delta")) == (None, [])
    question, answer = await world.shown()
    assert question["content"] == content
    assert [(part["type"], part["code"]) for part in answer["parts"]] == [("cell", "x = 1")]
    assert (answer["model"], answer["status"]) == (None, "done")
    assert (await world.record()).name == "New session", "a name is made from a question"


async def test_the_model_reads_ones_own_code_and_its_result_next_time(world: World) -> None:
    await world.say("!secret = 42")
    maker = world.chat._maker
    record, tree = await world.record(), await world.chat._store.tree(world.session.id)
    branch = [*tree.shown(), asked()]
    context, _ = await maker._context(record, world.session, branch, ANSWER, [], DEMO_MODEL)  # type: ignore[arg-type]
    _, question, call, result, _ = await context.messages([], {}, EventLog())
    assert question["content"] == "!secret = 42"
    assert "secret = 42" in str(call["tool_calls"])  # type: ignore[typeddict-item]
    assert str(result["content"]).startswith("status: ok\n") and "The user wrote and ran this" in str(result["content"])


async def test_ones_own_code_can_be_run_again_stopped_and_fails_as_a_cell_does(world: World) -> None:
    await world.say("!raise KeyError x")
    answer = (await world.shown())[1]
    assert (answer["status"], answer["parts"][0]["status"]) == ("done", "error")
    await world.again(answer["id"])
    assert world.session.ran == ["raise KeyError x"] * 2
    log = await world.begin("!hang")
    await until(lambda: of_type(log, "cell_started"))
    await world.chat.stop(world.session.id)
    stopped = (await world.shown())[3]
    assert (stopped["status"], stopped["parts"][0]["status"]) == ("stopped", "interrupted")
    await world.say("!none")
    assert (await world.shown())[5]["problem"]["code"] == "sandbox_unavailable"


@pytest.mark.parametrize("content", ["!", "/run", "!  \n"])
async def test_no_code_to_run_is_said_and_nothing_is_stored(world: World, content: str) -> None:
    with pytest.raises(BadRequest) as told:
        await world.begin(content)
    assert (told.value.code, await world.shown()) == ("no_code", [])


@pytest.mark.parametrize("content", ["/running late", "a! b", "what is !x", "/runner"])
async def test_what_only_looks_like_ones_own_code_is_for_the_model(world: World, content: str) -> None:
    await world.say(content)
    assert world.session.ran == []
    assert (await world.shown())[1]["model"] == DEMO_MODEL


async def test_a_model_that_is_named_stays_the_sessions(world: World) -> None:
    await world.say("hello")
    assert (await world.record()).model is None
    await world.say("hello", DEMO_MODEL)
    assert (await world.record()).model == DEMO_MODEL
    await world.chat.change(await world.record(), {"model": None})
    assert (await world.record()).model is None


async def test_a_model_that_cannot_be_asked_is_told_and_changes_nothing(world: World) -> None:
    wrong: list[tuple[str, type[GloveboxError]]] = [("huge", BadRequest), ("no-key", ModelUnavailable)]
    for name, error in wrong:
        with pytest.raises(error):
            await world.begin("hello", name)
        with pytest.raises(error):
            await world.chat.change(await world.record(), {"model": name})
    assert ((await world.record()).model, await world.shown()) == (None, [])


async def test_a_default_model_of_ones_own_that_is_gone_is_no_end(world: World) -> None:
    await world.settings.change("ann", {"default_model": "gone"})
    await world.say("hello")
    assert (await world.shown())[1]["model"] == DEMO_MODEL


async def test_all_instructions_are_told_from_the_admins_to_the_conversations(world: World) -> None:
    await world.settings.change("ann", {"instructions": "Be brief."})
    await world.settings.change("bob", {"instructions": "Sing."})
    await world.chat.change(await world.record(), {"instructions": "In French."})
    maker, record = world.chat._maker, await world.record()
    context, _ = await maker._context(record, world.session, [asked()], ANSWER, [], DEMO_MODEL)  # type: ignore[arg-type]
    system, _ = await context.messages([], {}, EventLog())
    text = str(system["content"])
    places = [text.index(one) for one in ("You are Glovebox", "Speak like an admin.", "Be brief.", "In French.")]
    assert places == sorted(places) and "Sing." not in text
    assert instructions("", "", "") == ""


async def test_a_call_waits_whoever_watches_and_runs_edited_on_a_click(world: World) -> None:
    await world.chat.change(await world.record(), {"approval": "ask"})
    log = await world.begin("demo:run print('model')")
    await until(lambda: of_type(log, "approval_asked"))
    (asked,) = of_type(log, "approval_asked")
    assert isinstance(asked, ApprovalAsked)
    (_, answer) = await world.shown()
    assert {"type": "waiting_call", "call_id": asked.call_id, "code": "print('model')"} in answer["parts"]
    with pytest.raises(NotFound):
        world.chat.decide(world.session.id, "another", Decision(run=True))
    world.chat.decide(world.session.id, asked.call_id, Decision(run=True, code="print('person')"))
    await whole(log)
    assert world.session.ran == ["print('person')"]
    assert "The user changed this code" in said(log), "the demo model quotes what it was told"
    with pytest.raises(NotFound):
        world.chat.decide(world.session.id, asked.call_id, Decision(run=True))


async def test_a_call_that_waited_when_the_process_ended_never_runs(world: World) -> None:
    await world.chat.change(await world.record(), {"approval": "ask"})
    log = await world.begin("demo:run 1")
    await until(lambda: of_type(log, "approval_asked"))
    await world.chat.close()
    answer = (await world.shown())[1]
    assert answer["status"] == "lost"
    assert [part["type"] for part in answer["parts"]] == ["text", "rejected_call"]
    assert world.session.ran == []
    await world.chat.change(await world.record(), {"approval": "auto"})
    await world.say("hello")
    assert (await world.shown())[3]["status"] == "done"


async def test_approval_that_is_turned_on_holds_for_the_turn_that_runs(world: World) -> None:
    log = await world.begin("demo:two-calls")
    await world.chat.change(await world.record(), {"approval": "ask"})
    await until(lambda: of_type(log, "approval_asked"))
    await world.chat.stop(world.session.id)
    assert world.session.ran == []


async def test_attachments_that_are_gone_do_not_keep_a_question_from_another_answer(world: World) -> None:
    world.session.folder.paths = ["a.csv"]
    await world.say("hello", attachments=["a.csv"])
    world.session.folder.paths = []
    await world.again((await world.shown())[0]["id"])
    with pytest.raises(BadRequest) as told:
        await world.begin("hello", attachments=["a.csv"])
    assert told.value.code == "attachment_missing"
