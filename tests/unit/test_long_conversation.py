"""A conversation of 300 turns in a window of 16k: never over by the provider's count, and its first fact is kept."""

from pathlib import Path

from orchestrator.events import Notice
from tests.unit.counting_provider import Provider, text_of
from tests.unit.told_world import printed, world

_WISHES = ("do step", "explain in many words", "tell me about")
FACT = "FACT1: the project is called Blue Heron 4711."


async def test_three_hundred_turns_stay_in_the_window_and_keep_the_first_fact(tmp_path: Path) -> None:
    provider = Provider(window=16_384)
    async with world(tmp_path, provider, window_tokens=16_384) as here:
        notices = []
        for number in range(300):
            size = (40, 400, 5, 900)[number % 4]
            here.session.outputs = [[printed(f'row {number}: 0.12345, 678.9, "text"\n' * size)]]
            fact = FACT if number == 0 else f"FACT{number + 1}: step {number} is done." if number % 50 == 0 else ""
            _, events = await here.say(f"Please {_WISHES[number % 3]} {number}. {fact}".strip())
            assert here.problem is None, here.problem
            notices += [event.code for event in events if isinstance(event, Notice)]
        assert provider.refused == 0
        assert max(provider.counts) <= 16_384
        assert len(provider.requests) == 400
        last = "\n".join(map(text_of, here.told()))
        assert FACT in last and "FACT251: step 250 is done." in last
        assert "Please tell me about 299." in last and "Please explain in many words 298." in last
        # Summaries are made now and then, and not made again.
        assert 5 <= len(provider.summaries) <= 60
        assert notices == ["context_summarised"] * len(provider.summaries)
        ids = [message.id for message in here.branch]
        assert len(await here.summaries.on_branch(here.record.id, ids)) == len(provider.summaries)
