"""Waiting for a turn to begin: whoever waits gets its log, and nobody is kept."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.api.patience import wait_s
from orchestrator.chat.beginnings import Beginnings
from orchestrator.limits import BEGINNING_WAIT_S
from tests.unit.chat_world import chat_world


async def test_all_who_wait_get_the_log_of_the_turn_that_begins(tmp_path: Path) -> None:
    async with chat_world(tmp_path) as world:
        mine = [asyncio.create_task(world.chat.beginnings.wait(world.session.id, 60)) for _ in range(2)]
        other = asyncio.create_task(world.chat.beginnings.wait("other", 60))
        await asyncio.sleep(0)
        log = await world.say("!1 + 1")
        assert await asyncio.gather(*mine) == [log, log]
        assert not other.done()
        other.cancel()


async def test_who_waited_long_enough_or_went_away_is_forgotten() -> None:
    beginnings = Beginnings()
    assert await beginnings.wait("s", 0.01) is None
    gone = asyncio.create_task(beginnings.wait("s", 60))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    assert not beginnings._waiting


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=30", 30),
        ("respond-async, Wait=5", 5),
        ('wait="7"; x', 7),
        ("wait=9999", BEGINNING_WAIT_S),
        ("", 0),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=30", 0),
    ],
)
def test_how_long_a_request_would_wait(prefer: str, seconds: float) -> None:
    assert wait_s(prefer) == seconds
