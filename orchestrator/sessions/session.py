"""One live session: its sandbox, its files, and the one cell that may run at a time."""

import asyncio
import math
import os
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from orchestrator.config import Profile
from orchestrator.errors import Conflict, GloveboxError
from orchestrator.events import CellFailed, EventLog, Notice
from orchestrator.kernel.connection import KernelConnection
from orchestrator.kernel.silent import printed_by
from orchestrator.metrics import CELL_WAITS
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.aside import ASIDE_SLACK_S, Aside
from orchestrator.sessions.cell import CellRun
from orchestrator.sessions.disk import SessionDisk
from orchestrator.sessions.ending import KERNEL_ENDED, KERNEL_ENDING, WAITS_FOR_KERNEL, finished_event, never_ended
from orchestrator.sessions.passage import Passage
from orchestrator.sessions.row import CellRow
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.state import SessionState
from orchestrator.sessions.watcher import Watcher
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import ENDING, CellRecord, SessionRecord
from orchestrator.tracing import span
from orchestrator.workspace.folder import SessionFolder

log = structlog.get_logger()
_STORE_USE_S = 30.0  # the order of the sessions' list need not be finer


class LiveSession:
    """What a session is while this process runs. The row in the database is what it is for ever."""

    def __init__(
        self,
        session_id: str,
        profile: Profile,
        folder: SessionFolder,
        disk: SessionDisk,
        sandbox: SessionSandbox,
        conversation: ConversationStore,
        activity: Activity,
    ) -> None:
        self.id = session_id
        self.profile = profile
        self.folder = folder
        self.disk = disk
        self.sandbox = sandbox
        self.used_at = asyncio.get_running_loop().time()
        self._conversation = conversation
        self._activity = activity
        self._turnstile = asyncio.Lock()
        self._run: CellRun | None = None
        self._passage: Passage | None = None  # of the cell that runs, if it is one of this process
        self._kernel_ended = False  # by a cell that was stopped, and nobody was told
        self._waiting = 0
        self._use_stored_at = -math.inf
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_let_go = False

    @property
    def state(self) -> SessionState:
        """What the session is doing now."""
        return self.sandbox.life.state

    @property
    def owner(self) -> str:
        """Whose the session is."""
        return self.sandbox.owner

    @property
    def can_sleep(self) -> bool:
        """Whether it has a container, and nothing runs or waits in it."""
        return not self.in_use and (self.sandbox.running or self.sandbox.may_run)

    @property
    def cell_began_at(self) -> datetime | None:
        """When the cell that runs was sent, if one does."""
        return self._run.began_at if self._run is not None else None

    @property
    def in_use(self) -> bool:
        """Whether a cell runs or waits."""
        return self._waiting > 0

    async def files(self, *, make: bool = False) -> SessionFolder:
        """Return the folder, whose files can be reached now; with `make` there is a workspace in it, too.

        Raises:
            SandboxUnavailable: the session's disk cannot be had.

        """
        await self.disk.open(make=make)
        return self.folder

    def note_use(self) -> bool:
        """Note that somebody uses the session now; idle time counts from here. Tell whether to store that, too."""
        self.used_at = asyncio.get_running_loop().time()
        due = self.used_at - self._use_stored_at > _STORE_USE_S
        if due:
            self._use_stored_at = self.used_at
        return due

    async def run_cell(
        self, code: str, timeout_s: float | None, events: EventLog, message_id: str | None = None
    ) -> CellRecord:
        """Run a cell when those before it are done; watchers see it in `events`. It is stored before it is told.

        Raises:
            SandboxUnavailable: no disk or no sandbox could be had; the cell is stored as lost.
            TooManyRequests: the owner's quota or the host allows no more; the cell is not stored.

        """
        passage, _ = self._begin(code, timeout_s, events, message_id)
        return await passage.answered()

    def _begin(
        self, code: str, timeout_s: float | None, events: EventLog, message_id: str | None = None
    ) -> tuple[Passage, asyncio.Task[CellRecord]]:
        cell = CellRecord(os.urandom(16).hex(), self.id, message_id, code, datetime.now(UTC))
        limit_s = min(timeout_s or self.profile.cell_timeout_s, self.profile.cell_timeout_s)
        passage = Passage(CellRun(cell, self.sandbox, self.folder, limit_s, events), self._conversation, events)
        self._waiting += 1
        task = passage.start(self._in_turn(passage, cell, events), f"cell {cell.cell_id}")
        task.add_done_callback(self._ended)
        return passage, task

    def _ended(self, _task: object) -> None:
        self._waiting -= 1
        self.note_use()

    async def _in_turn(self, passage: Passage, cell: CellRecord, events: EventLog) -> CellRecord:
        await self.sandbox.seats.note_cell(self.owner)
        began = time.monotonic()
        if self._run is not None and self._run.left:
            events.append(Notice(KERNEL_ENDING, WAITS_FOR_KERNEL))
        async with self._turnstile:
            CELL_WAITS.observe("turn", time.monotonic() - began)
            if self._kernel_ended:
                self._kernel_ended = False
                events.append(Notice("kernel_ended", KERNEL_ENDED))
            with span("cell", session=self.id, cell=cell.cell_id):
                return await self._run_alone(passage, cell, events)

    async def _run_alone(self, passage: Passage, cell: CellRecord, events: EventLog) -> CellRecord:
        run, self._passage = passage.run, passage
        self._run = run
        row = CellRow(self._conversation, cell, run.outputs_so_far, is_watched=events.is_watched)
        try:
            await self.files(make=True)
            finished = await run.run()
        except BaseException:
            if self._is_let_go:  # it goes on, and the next process hears it out
                await asyncio.shield(row.leave_open())
            elif not run.left:
                await asyncio.shield(row.abandon())
            raise
        finally:
            row.close()
            self._run = self._passage = None
        return await self._finish(run, finished, events, is_told=await passage.ends())

    async def _finish(self, run: CellRun, cell: CellRecord, events: EventLog, *, is_told: bool = False) -> CellRecord:
        # Shielded: a stop that comes at this very moment must not leave the cell open.
        await asyncio.shield(self._conversation.finish_cell(cell))
        self._activity.note_cell(self.owner, cell)
        if not is_told:
            events.append(finished_event(cell))
        self._kernel_ended |= run.left and not run.kernel_lives
        return cell

    def resume(self, cell: CellRecord | None) -> None:
        """Take up what an earlier process left: the kernel, and the cell that runs in it, if one does."""
        self._own(asyncio.create_task(self._resume(cell), name=f"resume {self.id}"))

    def _own(self, task: asyncio.Task[Any]) -> None:
        """Have a task end with this process."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resume(self, cell: CellRecord | None) -> CellRecord | None:
        self._waiting += 1
        try:
            async with self._turnstile:
                await self.files()
                if cell is None:
                    await self.sandbox.reconnect()
                    return None
                events = EventLog()
                run = self._run = CellRun(cell, self.sandbox, self.folder, self.profile.cell_timeout_s, events)
                try:
                    finished = await run.resume()
                finally:
                    self._run = None
                return await self._finish(run, finished, events)
        except GloveboxError as error:
            log.warning("session not taken up", session=self.id, reason=error.detail)
            if cell is not None:
                await mark_lost(self._conversation, cell)
            return None
        finally:
            self._waiting -= 1

    async def let_go(self) -> None:
        """Stop following cells, which go on: this process ends, and the next one takes them up."""
        self._is_let_go = True
        if self._run is not None:
            self._run.is_let_go = True
        if self._passage is not None:
            self._passage.let_go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask_aside(self, question: Aside, watcher: Watcher | None = None) -> str:
        """Return what code of ours printed in the session's kernel, between its cells; empty where it could not run.

        Without a watcher only a kernel that is there is asked; with one a sandbox is started, and the watcher told.
        """
        if self.in_use or (watcher is None and not self.sandbox.running):
            return ""
        self._waiting += 1
        try:
            async with self._turnstile:
                if watcher is not None:
                    await self.files(make=True)
                connection = await self.sandbox.ready(watcher)
                printed = await printed_by(connection, question.code(), question.most_s + ASIDE_SLACK_S, question.chars)
                if not printed:
                    await self._calm(connection)
                return printed
        except GloveboxError as error:
            log.info("nothing learned aside", session=self.id, reason=error.detail)
            return ""
        finally:
            self._waiting -= 1

    async def _calm(self, connection: KernelConnection) -> None:
        """See to it that code of ours does not stand in the way of the next cell."""
        if connection.usable and not await connection.wait_until_idle(ASIDE_SLACK_S):
            await connection.interrupt()

    def start_cell(
        self, code: str, timeout_s: float | None, *, is_watched: bool = True
    ) -> tuple[EventLog, asyncio.Future[CellRecord]]:
        """Run a cell that goes on whoever stops watching; its log closes with the answer, which is returned, too."""
        events = EventLog(is_watched)
        passage, task = self._begin(code, timeout_s, events)
        passage.answer.add_done_callback(partial(_close, events))
        self._own(task)
        return events, passage.answer

    def claimed(self, record: SessionRecord) -> None:
        """Say whose the session is from now on: it waited, warm, for an owner."""
        self.sandbox.claimed(record)
        self.note_use()

    async def fall_asleep(self) -> None:
        """Keep the variables and end the container, unless the session is used meanwhile.

        Raises:
            SandboxUnavailable: the container could not be ended.

        """
        async with self._turnstile:
            await self.sandbox.fall_asleep(lambda: self.in_use)

    async def sleep_now(self) -> None:
        """Fall asleep because somebody asks for it; nothing happens where there is no sandbox.

        Raises:
            Conflict: a cell runs or waits.
            SandboxUnavailable: the container could not be ended.

        """
        if self.in_use:
            raise Conflict("A cell runs in this session; wait for it, or interrupt it.", code="cell_running")
        if self.can_sleep:
            await self.fall_asleep()

    async def end_sandbox(self, reason: str) -> None:
        """End the container, keeping the variables of a session that is idle; a cell that runs is lost.

        Raises:
            SandboxUnavailable: it could not be ended.

        """
        if self.in_use:
            await self.sandbox.stop(reason)
        elif self.can_sleep:
            await self.fall_asleep()

    async def interrupt(self, *, must_end: bool = False) -> None:
        """Interrupt the cell that runs, if one does."""
        if self._run is not None:
            await self._run.interrupt(must_end=must_end)

    def stop_cell(self, message_id: str | None = None) -> bool:
        """Stop a message's cell, or whatever cell runs; tell whether there is one that does.

        Whoever waits for it has their answer in a moment. A cell that does not heed its interrupt by then is ended
        behind them. One that still waits for a sandbox does not run: whoever waits for it can just leave it.
        """
        run = self._run
        if run is None or not run.in_kernel or message_id not in (None, run.message_id):
            return False
        if self._passage is not None:
            self._passage.stop()
        else:  # of an earlier process: nobody waits for it
            self._own(asyncio.create_task(run.interrupt(must_end=True), name=f"interrupt in {self.id}"))
        return True

    async def restart(self) -> None:
        """Give the session a fresh kernel; a cell that runs ends as lost."""
        await self.files()
        await self.sandbox.restart_kernel()
        self._kernel_ended = False  # by now it is no news
        self.note_use()


def _close(events: EventLog, answer: asyncio.Future[CellRecord]) -> None:
    """Tell why there is no cell, where that is the answer, and close its log."""
    error = None if answer.cancelled() else answer.exception()
    if error is not None and not isinstance(error, GloveboxError):
        log.error("cell broke off", exc_info=error)
        error = GloveboxError("The cell broke off; the log of the orchestrator says why.")
    if error is not None:
        events.append(CellFailed(error.as_problem()))
    events.close()


async def mark_lost(conversation: ConversationStore, cell: CellRecord) -> None:
    """Store of a cell of an earlier process that nobody knows how it ended, or that it never did after its stop."""
    if cell.status == ENDING:
        await conversation.finish_cell(never_ended(cell))
    else:
        await conversation.mark_lost(cell.cell_id)
