"""Threads for blocking work: results and errors come back, and who goes away leaves nothing half done behind."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest

from orchestrator.store.workers import Workers
from tests.unit.played import until


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(1, "test")
    yield workers
    await workers.close()


async def test_results_and_errors_come_back_in_order(workers: Workers) -> None:
    ran: list[int] = []

    def work(number: int) -> int:
        ran.append(number)
        return 1 // number

    told = await asyncio.gather(*(workers.run(partial(work, n)) for n in (1, 0, 2)), return_exceptions=True)
    assert (told[0], type(told[1]), told[2]) == (1, ZeroDivisionError, 0)
    assert ran == [1, 0, 2]


async def test_who_goes_away_before_the_job_begins_takes_it_along(workers: Workers) -> None:
    go, ran = threading.Event(), list[str]()
    first = asyncio.create_task(workers.run(go.wait))
    second = asyncio.create_task(workers.run(lambda: ran.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go.set()
    await first
    await workers.run(lambda: ran.append("third"))
    assert ran == ["third"]


async def test_who_goes_away_later_goes_when_the_job_is_over_however_often_they_are_told(workers: Workers) -> None:
    began, go, ran = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        began.set()
        go.wait()
        ran.append("all of it")

    task = asyncio.create_task(workers.run(work))
    await until(began.is_set)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ran == ["all of it"]


async def test_a_close_waits_for_what_was_asked_and_nothing_more_is_taken() -> None:
    workers, ran = Workers(2, "test"), list[int]()
    asked = [asyncio.create_task(workers.run(partial(ran.append, n))) for n in range(5)]
    await asyncio.sleep(0)
    await workers.close()
    await asyncio.gather(*asked)
    assert sorted(ran) == [*range(5)]
    with pytest.raises(RuntimeError):
        await workers.run(lambda: None)
