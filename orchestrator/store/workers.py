"""Threads for blocking work, with as little as can be between a job and its result.

The standard library's executor takes a job there and back through a dozen locks, conditions and callbacks, which is
much of what a small transaction costs.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Job:
    """One piece of work on its way to a thread and back."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()
        self.over: asyncio.Future[None] | None = None  # where whoever wanted the result has gone away
        self._work = work
        self._undecided = [True]

    def decide(self) -> bool:
        """Tell whether it is for the caller to say if the job runs: a thread that begins, or who takes it back."""
        try:
            return self._undecided.pop()  # in one step, whichever thread asks
        except IndexError:
            return False

    def run(self) -> None:
        """Run in a thread."""
        result, error = None, None
        try:
            result = self._work()
        except BaseException as raised:
            error = raised
        self.loop.call_soon_threadsafe(self._end, result, error)

    def _end(self, result: Any, error: BaseException | None) -> None:
        if self.over is not None:
            self.over.set_result(None)
        elif error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class Workers:
    """A fixed number of threads; all calls are made in the event loop's."""

    def __init__(self, most: int, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name} {n}", daemon=True) for n in range(most)]
        self._begun = self._closed = False

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run a job. Cancelled on its way, it is over or never begins when the caller goes on."""
        if self._closed:
            raise RuntimeError("these threads have ended")
        if not self._begun:
            self._begun = True
            for thread in self._threads:
                thread.start()
        job = _Job(work)
        self._jobs.put(job)
        try:
            result: _Result = await job.done
        except asyncio.CancelledError:
            await self._take_back(job)
            raise
        return result

    async def close(self) -> None:
        """Return when all jobs are done and the threads have ended."""
        self._closed = True
        if self._begun:
            for _ in self._threads:
                self._jobs.put(None)
            await asyncio.to_thread(self._join)

    async def _take_back(self, job: _Job) -> None:
        if job.done.cancelled() and not job.decide():
            job.over = job.loop.create_future()
            while not job.over.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([job.over])

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.decide():
                job.run()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()
