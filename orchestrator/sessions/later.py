"""Work beside a cell that begins only when the cell has run for a while, as most never do."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Later:
    """Work that begins when a while has passed: a timer until then, which costs next to nothing, and then a task."""

    def __init__(self, after_s: float, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._work = work
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if after_s > 0:
            self._timer = asyncio.get_running_loop().call_later(after_s, self._begin)
        else:
            self._begin()

    @property
    def begun(self) -> bool:
        """Whether the work has begun."""
        return self._task is not None

    def stop(self) -> None:
        """End the work, or see to it that it never begins; what it waits for in this moment may still come to pass."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        """End the work, and return when it has ended."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._work(), name=self._name)
