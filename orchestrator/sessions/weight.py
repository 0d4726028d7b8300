"""How a sandbox stands against the others where the host is short of CPU.

Between equals the kernel hands out turns of some milliseconds, and a small cell needs many: beside ten cells that spin
it took eleven times as long. So a sandbox whose cell has run for long, or that works on with no cell at all, gets the
least weight there is until it rests: what the others leave is still all its own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog

from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import LONG_CELL_S, WORKS_ALONE_CPUS
from orchestrator.spawner_client import SpawnerClient

log = structlog.get_logger()
_NS = 1e9


class Weight:
    """The weight of one session's sandbox."""

    def __init__(self, session_id: str, spawner: SpawnerClient) -> None:
        self._session_id = session_id
        self._spawner = spawner
        self._cell_is_long = False
        self._works_alone = False
        self._is_least: bool | None = False  # None: an earlier process knew
        self._can_change = True
        self._seen: tuple[int, float] | None = None  # CPU time in ns, and when
        self._settling: asyncio.Task[None] | None = None

    def made(self) -> None:
        """Say that the container is new: it has the usual weight."""
        self._is_least, self._can_change, self._works_alone, self._seen = False, True, False, None

    def adopted(self) -> None:
        """Say that the container is an earlier process's: nobody knows its weight."""
        self._is_least, self._can_change = None, True
        self._settle()

    @contextmanager
    def cell(self) -> Iterator[None]:
        """Have the sandbox give way while the cell inside runs for longer than a moment."""
        timer = asyncio.get_running_loop().call_later(LONG_CELL_S, partial(self._note_cell, is_long=True))
        try:
            yield
        finally:
            timer.cancel()
            self._seen = None
            self._note_cell(is_long=False)

    async def look_while_idle(self) -> None:
        """Find out whether the sandbox works though no cell runs, as threads that a cell left behind do."""
        try:
            used = await self._spawner.stats(self._session_id)
        except SandboxUnavailable:
            return
        now = asyncio.get_running_loop().time()
        if self._seen is not None and now > self._seen[1]:
            cpu_ns, at = self._seen
            self._works_alone = (used.cpu_ns - cpu_ns) / _NS / (now - at) > WORKS_ALONE_CPUS
            self._settle()
        self._seen = used.cpu_ns, now

    async def close(self) -> None:
        """Leave the weight as it is."""
        self._can_change = False
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)

    def _note_cell(self, *, is_long: bool) -> None:
        self._cell_is_long = is_long
        self._settle()

    def _settle(self) -> None:
        busy = self._settling is not None and not self._settling.done()
        if self._can_change and not busy and self._is_least is not self._wanted:
            self._settling = asyncio.create_task(self._set(), name=f"weight of {self._session_id}")

    @property
    def _wanted(self) -> bool:
        return self._cell_is_long or self._works_alone

    async def _set(self) -> None:
        while self._can_change and self._is_least is not self._wanted:
            wanted = self._wanted
            try:
                await self._spawner.weigh(self._session_id, least=wanted)
            except SandboxUnavailable as error:  # gVisor's cannot be changed; or it is gone
                log.info("a sandbox keeps its weight", session=self._session_id, reason=error.detail[:200])
                self._can_change = False
            else:
                self._is_least = wanted
