"""What a model is told, with real turns over real HTTP: summaries, refusals, windows that are too small."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import Notice
from tests.unit.counting_provider import Provider, call, text_of
from tests.unit.told_world import World, printed, world

LONG = "a line of some result, 12345\n" * 400
FACT = "FACT1: the client is called Ada."


@pytest.fixture
def provider() -> Provider:
    return Provider(window=8000)


@pytest.fixture
async def here(tmp_path: Path, provider: Provider) -> AsyncIterator[World]:
    async with world(tmp_path, provider, window_tokens=8000) as made:
        yield made


def everything(here: World) -> str:
    return "\n".join(map(text_of, here.told()))


def notices(events: list[Any]) -> list[str]:
    return [event.code for event in events if isinstance(event, Notice)]


async def test_old_outputs_are_shortened_before_anything_is_summarised(here: World, provider: Provider) -> None:
    for number in range(4):
        here.session.outputs = [[printed(LONG[:4500])]]
        _, events = await here.say(f"Please do step {number}")
        assert (here.problem, notices(events)) == (None, [])
    results = [text_of(message) for message in here.told() if message["role"] == "tool"]
    assert len(results) == 4
    assert "run the code again where the whole is needed" in results[0]
    assert "shortened" not in results[-1]
    assert (provider.refused, provider.summaries) == (0, [])


async def test_old_turns_become_a_summary_that_is_told_and_not_made_again(here: World, provider: Provider) -> None:
    await here.say(f"Remember this. {FACT}")
    told: list[str] = []
    for number in range(12):
        _, events = await here.say(f"Tell me more, {number}: " + "words and more words " * 130)
        told += notices(events)
    assert told and set(told) == {"context_summarised"}
    made = len(provider.summaries)
    assert FACT in everything(here)
    summary = here.told()[1]
    assert summary["role"] == "user" and summary["content"].startswith("[summary of the conversation until here")
    await here.say("And now?")
    assert len(provider.summaries) in (made, made + 1)
    assert provider.refused == 0


async def test_a_summary_counts_only_on_the_branch_that_it_was_made_of(here: World, provider: Provider) -> None:
    for number in range(12):
        await here.say(f"Tell me more, {number}: " + "words and more words " * 130)
    assert await here.summaries.on_branch(here.record.id, [message.id for message in here.branch])
    assert await here.summaries.on_branch(here.record.id, ["another"]) == {}
    here.branch = here.branch[:2]  # an earlier message is edited: a branch before any summary
    await here.say("Something else.")
    assert "[summary" not in everything(here)
    await here.summaries.forget(here.record.id)
    assert await here.summaries.on_branch(here.record.id, [message.id for message in here.branch]) == {}


async def test_a_larger_window_is_told_the_whole_again(here: World, provider: Provider, tmp_path: Path) -> None:
    for number in range(12):
        await here.say(f"Tell me more, {number}: " + "words and more words " * 130)
    assert "[summary" in everything(here)
    large = Provider(window=100_000)
    (tmp_path / "large").mkdir()
    async with world(tmp_path / "large", large, window_tokens=100_000) as other:
        other.branch = here.branch
        await other.say("And now?")
        assert "[summary" not in everything(other) and "Tell me more, 0:" in everything(other)


async def test_where_no_summary_can_be_had_the_first_words_stand_for_it_and_it_is_said(
    here: World, provider: Provider
) -> None:
    provider.summary_fails = True
    told: list[Any] = []
    await here.say("My name is Ada Lovelace.")
    for number in range(8):
        _, events = await here.say(f"Tell me more, {number}: " + "words and more words " * 120)
        told += events
    assert here.problem is None
    assert {"context_summarised", "context_digested"} == set(notices(told))
    assert "asked: My name is Ada Lovelace." in everything(here)
    assert await here.summaries.on_branch(here.record.id, [message.id for message in here.branch]) == {}
    assert provider.refused == 0


async def test_a_window_too_small_for_the_instructions_is_said(tmp_path: Path) -> None:
    provider = Provider(window=2048)
    async with world(tmp_path, provider, window_tokens=2048) as here:
        await here.say("Hello", extra="Always be very polite. " * 300)
        assert here.problem is not None
        assert here.problem["code"] == "window_too_small"
        assert "2,048 tokens" in here.problem["detail"] and "larger window" in here.problem["detail"]
        assert provider.requests == []


async def test_a_question_longer_than_the_window_is_said_and_the_next_one_is_answered(
    here: World, provider: Provider
) -> None:
    await here.say("word " * 10_000)
    assert here.problem is not None
    assert here.problem["code"] == "message_too_long"
    assert "put long text into a file" in here.problem["detail"]
    here.branch = []
    await here.say("Hello")
    assert here.problem is None


async def test_a_turn_of_many_long_rounds_stays_in_the_window(here: World, provider: Provider) -> None:
    def busy(request: dict[str, Any]) -> dict[str, Any]:
        rounds = sum(len(message.get("tool_calls") or ()) for message in request["messages"])
        return {"content": "Done."} if len(provider.requests) > 14 else call(f"step({rounds})\n" + "x = 1\n" * 100)

    provider.answer = busy
    here.session.outputs = [[printed(LONG)] for _ in range(14)]
    await here.say("Do it all")
    assert here.problem is None
    assert len(provider.requests) == 15 and provider.refused == 0
    assert here.told()[1]["content"].startswith("Do it all")


async def test_a_provider_with_less_room_than_we_think_is_asked_with_less(tmp_path: Path) -> None:
    provider = Provider(window=3000)
    async with world(tmp_path, provider, window_tokens=8000) as here:
        for number in range(8):
            here.session.outputs = [[printed(LONG[:9000])]]
            await here.say(f"Please do step {number}")
            assert here.problem is None
        assert 1 <= provider.refused <= 2, "what was learnt is kept"


async def test_a_provider_that_refuses_everything_is_asked_three_times(tmp_path: Path) -> None:
    provider = Provider(window=10)
    async with world(tmp_path, provider, window_tokens=16_000) as here:
        await here.say("Hello")
        assert here.problem is not None
        assert (here.problem["code"], provider.refused) == ("context_too_long", 3)


async def test_a_model_of_its_own_writes_the_summaries(tmp_path: Path) -> None:
    provider = Provider(window=8000)
    async with world(tmp_path, provider, ("m", "small"), window_tokens=8000, summary_model="small") as here:
        for number in range(10):
            await here.say(f"Tell me more, {number}: " + "words and more words " * 130)
        assert {request["model"] for request in provider.summaries} == {"small"}
        assert {request["model"] for request in provider.requests} == {"m"}


async def test_a_long_conversation_is_summarised_in_portions_that_fit(tmp_path: Path) -> None:
    provider = Provider(window=100_000)
    async with world(tmp_path, provider, window_tokens=100_000) as here:
        await here.say(f"Remember this. {FACT}")
        for number in range(30):
            await here.say(f"Tell me more, {number}: " + "words and more words " * 200)
        branch = here.branch
    (tmp_path / "small").mkdir()
    small = Provider(window=8000)
    async with world(tmp_path / "small", small, window_tokens=8000) as here:
        here.branch = branch
        await here.say("And now?")
        assert here.problem is None and small.refused == 0
        assert len(small.summaries) > 2
        assert FACT in everything(here)


async def test_the_models_code_and_results_are_told_in_the_next_turn(here: World) -> None:
    here.session.outputs = [[printed("42\n")]]
    await here.say("Please do step 1")
    await here.say("Thanks")
    assert [message["role"] for message in here.told()] == ["system", "user", "assistant", "tool", "assistant", "user"]
    code = json.loads(here.told()[2]["tool_calls"][0]["function"]["arguments"])["code"]
    assert code.startswith("step(")
    assert here.told()[3]["content"] == "status: ok\n[stdout]\n42"
