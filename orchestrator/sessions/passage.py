"""A cell on its way as a task of its own, and whoever waits for it: to its end, or until it is told as interrupted.

A cell that was stopped has a moment to end. When it has not, it is told and stored as interrupted, and whoever waits
goes on; behind them it ends, or loses its kernel, and is stored once more with what became of it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from orchestrator.errors import GloveboxError, SandboxUnavailable
from orchestrator.events import EventLog
from orchestrator.limits import STOP_ANSWER_S
from orchestrator.sessions.cell import CellRun
from orchestrator.sessions.ending import finished_event
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord

log = structlog.get_logger()


class Passage:
    """One cell that somebody waits for."""

    def __init__(self, run: CellRun, conversation: ConversationStore, events: EventLog) -> None:
        self.run = run
        self._conversation = conversation
        self._events = events
        # The cell when it has ended, or was told as interrupted. Who cancels it before that takes the cell along.
        self.answer: asyncio.Future[CellRecord] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[CellRecord]
        self._is_told = False  # as interrupted
        self._leaving: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._ends = False

    def start(self, work: Coroutine[Any, Any, CellRecord], name: str) -> asyncio.Task[CellRecord]:
        """Begin with what runs the cell, and return it as a task."""
        self._task = asyncio.create_task(work, name=name)
        self._task.add_done_callback(self._ended)
        self.answer.add_done_callback(self._answered)
        return self._task

    async def answered(self) -> CellRecord:
        """Return the answer. Who goes away before there is one takes the cell along, and goes when it has ended."""
        try:
            return await self.answer
        except asyncio.CancelledError:
            if not self.run.left:
                await asyncio.gather(self._task, return_exceptions=True)
            raise

    def stop(self) -> None:
        """Interrupt the cell, which has to end; whoever waits for it has their answer in a moment, whatever it does."""
        asking = asyncio.create_task(self._interrupt(), name=f"interrupt of {self._task.get_name()}")
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(), name=f"answer of {self._task.get_name()}")

    async def ends(self) -> bool:
        """Say that the cell has ended and is being stored. Tell whether it was told as interrupted before."""
        self._ends = True
        if self.run.left and self._leaving is not None:
            await asyncio.wait({self._leaving})
        return self._is_told

    def let_go(self) -> None:
        """Leave a cell that nobody waits for any more to the next process."""
        if self.run.left:
            self._task.cancel()

    async def _interrupt(self) -> None:
        try:
            await self.run.interrupt(must_end=True)
        except SandboxUnavailable as error:  # the cell hears of that, and ends
            log.info("cell not interrupted", reason=error.detail)

    async def _leave(self) -> None:
        await asyncio.wait({self._task}, timeout=STOP_ANSWER_S)
        if self._task.done() or self._ends:
            return
        told = self.run.leave()
        await self._conversation.leave_cell(told)
        self._events.append(finished_event(told))
        self._is_told = True
        if not self.answer.done():
            self.answer.set_result(told)

    def _answered(self, answer: asyncio.Future[CellRecord]) -> None:
        if answer.cancelled() and not self.run.left:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[CellRecord]) -> None:
        if task.cancelled():
            self.answer.cancel()
        elif (error := task.exception()) is None:
            if not self.answer.done():
                self.answer.set_result(task.result())
        elif not self.answer.done():
            self.answer.set_exception(error)
        elif self._is_told:
            reason = error.detail if isinstance(error, GloveboxError) else repr(error)
            log.warning("stopped cell not heard out", task=task.get_name(), reason=reason)
