"""The event log: whoever follows, from any point and at any time, sees every event once and in order."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from orchestrator.events import CellFinished, Event, EventLog, Notice, StreamText, TextDelta


def log_of(*texts: str, closed: bool = False) -> EventLog:
    log = EventLog()
    for text in texts:
        log.append(TextDelta(text))
    if closed:
        log.close()
    return log


async def followed(log: EventLog, after: int = 0) -> list[tuple[int, Event]]:
    return [numbered async for numbered in log.follow(after)]


def numbered(texts: Sequence[str], first: int = 1) -> list[tuple[int, Event]]:
    return [(number, TextDelta(text)) for number, text in enumerate(texts, first)]


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
async def test_a_closed_log_is_followed_from_any_point(after: int) -> None:
    log = log_of("a", "b", "c", closed=True)
    assert await followed(log, after) == numbered(["a", "b", "c"])[after:]


@pytest.mark.parametrize("after", [4, 1000])
async def test_a_point_behind_the_end_of_a_closed_log_is_its_end(after: int) -> None:
    assert await followed(log_of("a", "b", "c", closed=True), after) == []


async def test_a_point_before_the_beginning_is_the_beginning() -> None:
    assert await followed(log_of("a", closed=True), -5) == numbered(["a"])


async def test_an_empty_log_that_is_closed_is_over() -> None:
    assert await followed(log_of(closed=True)) == []


async def test_events_come_as_they_happen() -> None:
    log = log_of("a")
    events = log.follow()
    assert await anext(events) == (1, TextDelta("a"))
    waiting = asyncio.ensure_future(anext(events))
    await settle()
    assert not waiting.done()
    log.append(TextDelta("b"))
    assert await waiting == (2, TextDelta("b"))
    await events.aclose()  # type: ignore[attr-defined]


async def test_closing_ends_those_who_wait() -> None:
    log = log_of("a")
    waiting = [asyncio.ensure_future(followed(log, after)) for after in (0, 1)]
    await settle()
    log.close()
    assert await asyncio.gather(*waiting) == [numbered(["a"]), []]


async def test_what_was_appended_right_before_closing_is_seen() -> None:
    log = log_of()
    waiting = asyncio.ensure_future(followed(log))
    await settle()
    log.append(TextDelta("last"))
    log.close()
    assert await waiting == numbered(["last"])


async def test_two_followers_see_the_same_each_at_its_own_pace() -> None:
    log = log_of("a", "b")
    fast = asyncio.ensure_future(followed(log))
    slow = log.follow()
    assert await anext(slow) == (1, TextDelta("a"))
    await settle()
    log.append(TextDelta("c"))
    await settle()
    late = asyncio.ensure_future(followed(log, after=2))
    log.append(TextDelta("d"))
    log.close()
    everything = numbered(["a", "b", "c", "d"])
    assert await fast == everything
    assert [one async for one in slow] == everything[1:]
    assert await late == everything[2:]


async def test_a_follower_that_goes_away_disturbs_nobody() -> None:
    log = log_of("a")
    gone = asyncio.ensure_future(followed(log))
    stays = asyncio.ensure_future(followed(log))
    await settle()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    log.append(TextDelta("b"))
    log.close()
    assert await stays == numbered(["a", "b"])


async def test_many_events_and_followers_miss_nothing() -> None:
    log = EventLog()

    async def write() -> None:
        for number in range(2000):
            log.append(TextDelta(str(number)))
            if number % 7 == 0:
                await asyncio.sleep(0)
        log.close()

    followers = [asyncio.ensure_future(followed(log, after)) for after in (0, 1, 500, 1999)]
    await write()
    everything = numbered([str(number) for number in range(2000)])
    assert await asyncio.gather(*followers) == [everything, everything[1:], everything[500:], everything[1999:]]


def test_an_event_says_its_type_and_its_fields() -> None:
    assert StreamText("c", "stdout", "a").as_json() == {
        "type": "stream",
        "cell_id": "c",
        "name": "stdout",
        "text": "a",
    }
    assert Notice("repairs", "b").as_json() == {"type": "notice", "code": "repairs", "text": "b"}


def test_a_finished_cell_says_all_its_fields_without_copying_its_outputs() -> None:
    outputs = [{"output_type": "stream", "name": "stdout", "text": "a"}]
    event = CellFinished("c", "1", 2, "ok", outputs, 0.5, truncated=False, files=[])
    told = event.as_json()
    assert told == {
        "type": "cell_finished",
        "cell_id": "c",
        "code": "1",
        "execution_count": 2,
        "status": "ok",
        "outputs": outputs,
        "duration_s": 0.5,
        "truncated": False,
        "files": [],
    }
    assert told["outputs"] is outputs
    assert json.loads(json.dumps(told)) == told
