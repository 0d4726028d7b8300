"""When a sandbox gives way to the others, with the loop's real time made short."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from orchestrator.errors import SandboxUnavailable
from orchestrator.sessions import weight as module
from orchestrator.sessions.weight import Weight
from orchestrator.spawner.requests import Used
from orchestrator.spawner_client import SpawnerClient


class PlayedSpawner:
    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.cpu_ns = 0
        self.refuses = False

    async def weigh(self, session_id: str, *, least: bool) -> None:
        assert session_id == "s"
        await asyncio.sleep(0)
        if self.refuses:
            raise SandboxUnavailable("no")
        self.asked.append(least)

    async def stats(self, session_id: str) -> Used:
        return Used(memory_bytes=0, cpu_ns=self.cpu_ns, pids=1)


@pytest.fixture
def spawner(monkeypatch: pytest.MonkeyPatch) -> PlayedSpawner:
    monkeypatch.setattr(module, "LONG_CELL_S", 0.02)
    return PlayedSpawner()


@pytest.fixture
def weight(spawner: PlayedSpawner) -> Weight:
    return Weight("s", cast(SpawnerClient, spawner))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_short_cell_changes_nothing(spawner: PlayedSpawner, weight: Weight) -> None:
    with weight.cell():
        pass
    await asyncio.sleep(0.05)
    assert spawner.asked == []


async def test_a_long_cell_gives_way_until_it_ends(spawner: PlayedSpawner, weight: Weight) -> None:
    with weight.cell():
        await until(lambda: spawner.asked == [True])
    await until(lambda: spawner.asked == [True, False])


async def test_what_works_without_a_cell_gives_way_and_what_rests_comes_back(
    spawner: PlayedSpawner, weight: Weight
) -> None:
    await weight.look_while_idle()
    await asyncio.sleep(0.01)
    spawner.cpu_ns = 10**12
    await weight.look_while_idle()
    await until(lambda: spawner.asked == [True])
    with weight.cell():  # a cell in between is no rest
        pass
    await asyncio.sleep(0.01)
    assert spawner.asked == [True]
    for _ in range(2):
        await weight.look_while_idle()
        await asyncio.sleep(0.01)
    await until(lambda: spawner.asked == [True, False])


async def test_an_earlier_processs_sandbox_is_told_once(spawner: PlayedSpawner, weight: Weight) -> None:
    weight.adopted()
    await until(lambda: spawner.asked == [False])
    with weight.cell():
        pass
    await asyncio.sleep(0.01)
    assert spawner.asked == [False]


async def test_where_it_cannot_be_changed_nobody_asks_again(spawner: PlayedSpawner, weight: Weight) -> None:
    spawner.refuses = True
    weight.adopted()
    await asyncio.sleep(0.01)
    spawner.refuses = False
    with weight.cell():
        await asyncio.sleep(0.05)
    assert spawner.asked == []
    weight.made()  # another container may be of another runtime
    with weight.cell():
        await until(lambda: spawner.asked == [True])
