"""The warm pool: how many wait, who gets one, and what becomes of those that nobody gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import POOL_DEMAND_S
from orchestrator.sessions import pool as pool_module
from orchestrator.sessions.pool import Demand, WarmPool


def test_demand_adds_to_what_the_config_says_up_to_its_most_and_is_forgotten() -> None:
    demand = Demand(1, 3)
    assert demand.wanted(0) == 1
    demand.note(0)
    assert demand.wanted(1) == 2
    demand.note(2)
    demand.note(3)
    assert demand.wanted(4) == 3
    assert demand.wanted(POOL_DEMAND_S + 1) == 3  # the first is forgotten, two are not
    assert demand.wanted(POOL_DEMAND_S + 4) == 1


def test_a_profile_without_a_pool_has_none_whatever_is_asked_for() -> None:
    demand = Demand(0, 0)
    demand.note(0)
    assert demand.wanted(1) == 0


class Warm:
    """Stands for a session that waits."""

    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.sandbox = self
        self.running = True
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class House:
    """Makes and ends warm sessions, and notes it."""

    def __init__(self) -> None:
        self.made: list[Warm] = []
        self.dropped: list[Warm] = []
        self.quiet = True
        self.broken = False

    async def make(self, profile: str) -> Any:
        if self.broken:
            raise SandboxUnavailable("The engine does not answer.")
        self.made.append(Warm(len(self.made)))
        return self.made[-1]

    async def drop(self, session: Any) -> None:
        self.dropped.append(session)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(pool_module, "POOL_PAUSE_S", 0.001)
    monkeypatch.setattr(pool_module, "POOL_RETRY_S", 0.05)
    return House()


@asynccontextmanager
async def kept_filled(house: House, least: int = 1, most: int = 2) -> AsyncIterator[WarmPool]:
    pool = WarmPool({"a": (least, most)}, house.make, house.drop, lambda: house.quiet)
    task = asyncio.create_task(pool.keep_filled())
    try:
        yield pool
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_nobody_gets_what_another_got_and_it_is_filled_again(house: House) -> None:
    async with kept_filled(house) as pool:
        await until(lambda: pool.count() == {"a": 1})
        first = pool.take("a")
        assert first is not None
        assert pool.take("a") is None
        await until(lambda: pool.count() == {"a": 2})
        assert first not in (pool.take("a"), pool.take("a"))
    assert len({id(one) for one in house.made}) == len(house.made)


async def test_one_that_died_while_it_waited_is_ended_and_not_given_away(house: House) -> None:
    async with kept_filled(house) as pool:
        await until(lambda: pool.count() == {"a": 1})
        house.made[0].running = False
        assert pool.take("a") is None
        await until(lambda: house.dropped == [house.made[0]])


async def test_what_cannot_be_started_is_tried_again_later(house: House) -> None:
    house.broken = True
    async with kept_filled(house) as pool:
        assert pool.take("a") is None
        await asyncio.sleep(0.02)
        house.broken = False
        pool.take("a")
        await asyncio.sleep(0.06)
        pool.take("a")
        await until(lambda: pool.count()["a"] >= 1)


async def test_nothing_is_started_while_somebody_waits_for_a_sandbox(house: House) -> None:
    house.quiet = False
    async with kept_filled(house):
        await asyncio.sleep(0.03)
        assert house.made == []
        house.quiet = True
        await until(lambda: house.made)


async def test_what_is_too_much_when_nobody_asks_any_more_is_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "POOL_DEMAND_S", 0.05)
    async with kept_filled(house) as pool:
        for _ in range(3):
            pool.take("a")
        await until(lambda: pool.count() == {"a": 1} and len(house.made) > 0)
        await until(lambda: len(house.made) == 1 or house.dropped)


async def test_closing_lets_go_of_those_that_wait(house: House) -> None:
    async with kept_filled(house) as pool:
        await until(lambda: pool.count() == {"a": 1})
    await pool.close()
    assert house.made[0].closed
