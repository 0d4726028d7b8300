"""One live session: its sandbox, its files, and the one cell that may run at a time."""

import asyncio
import math
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from orchestrator.config import Profile
from orchestrator.errors import Conflict, DatabaseUnavailable, GloveboxError
from orchestrator.events import CellFailed, EventLog
from orchestrator.limits import KEEP_OUTPUTS_S
from orchestrator.metrics import CELL_WAITS
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.cell import CellRun, finished_event
from orchestrator.sessions.disk import SessionDisk
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.state import SessionState
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, SessionRecord
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

    @property
    def running_message_id(self) -> str | None:
        """The assistant message whose cell runs right now, if one does."""
        return self._run.message_id if self._run is not None else None

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
        await self.sandbox.seats.note_cell(self.owner)
        limit_s = min(timeout_s or self.profile.cell_timeout_s, self.profile.cell_timeout_s)
        cell = CellRecord(uuid.uuid4().hex, self.id, message_id, code, datetime.now(UTC))
        self._waiting += 1
        began = time.monotonic()
        try:
            async with self._turnstile:
                CELL_WAITS.observe("turn", time.monotonic() - began)
                with span("cell", session=self.id, cell=cell.cell_id):
                    return await self._run_alone(cell, limit_s, events)
        finally:
            self._waiting -= 1
            self.note_use()

    async def _run_alone(self, cell: CellRecord, limit_s: float, events: EventLog) -> CellRecord:
        run = self._run = CellRun(cell, self.sandbox, self.folder, limit_s, events)
        begun = asyncio.create_task(self._conversation.begin_cell(cell), name=f"row of {cell.cell_id}")
        keeping = asyncio.create_task(self._keep_outputs(run, cell.cell_id, begun), name=f"outputs of {cell.cell_id}")
        try:
            await self.files(make=True)
            finished = await run.run()
            await begun
        except BaseException:
            await asyncio.gather(begun, return_exceptions=True)
            if self._is_let_go:  # it goes on, and the next process hears it out
                await asyncio.shield(self._conversation.save_outputs(cell.cell_id, run.outputs_so_far()))
            else:
                await asyncio.shield(self._conversation.abandon_cell(cell.cell_id))
            raise
        finally:
            keeping.cancel()
            self._run = None
        return await self._finish(finished, events)

    async def _finish(self, cell: CellRecord, events: EventLog) -> CellRecord:
        # Shielded: a stop that comes at this very moment must not leave the cell open.
        await asyncio.shield(self._conversation.finish_cell(cell))
        self._activity.note_cell(self.owner, cell)
        events.append(finished_event(cell))
        return cell

    async def _keep_outputs(self, run: CellRun, cell_id: str, begun: asyncio.Task[None]) -> None:
        """Store what a long cell has put out now and then: a process that is killed leaves it to the next one."""
        kept = run.outputs_so_far()
        pause_s = KEEP_OUTPUTS_S
        while True:
            await asyncio.sleep(pause_s)
            if begun.done() and kept != (outputs := run.outputs_so_far()):
                began = time.monotonic()
                with suppress(DatabaseUnavailable):  # it is tried again, with what has come by then
                    await self._conversation.save_outputs(cell_id, outputs)
                    kept = outputs
                pause_s = max(KEEP_OUTPUTS_S, 20 * (time.monotonic() - began))  # long ones are stored less often

    def resume(self, cell: CellRecord | None) -> None:
        """Take up what an earlier process left: the kernel, and the cell that runs in it, if one does."""
        task = asyncio.create_task(self._resume(cell), name=f"resume {self.id}")
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
                return await self._finish(finished, events)
        except GloveboxError as error:
            log.warning("session not taken up", session=self.id, reason=error.detail)
            if cell is not None:
                await self._conversation.mark_lost(cell.cell_id)
            return None
        finally:
            self._waiting -= 1

    async def let_go(self) -> None:
        """Stop following cells, which go on: this process ends, and the next one takes them up."""
        self._is_let_go = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start_cell(self, code: str, timeout_s: float | None) -> tuple[EventLog, asyncio.Task[CellRecord]]:
        """Run a cell as a task of its own, which goes on whoever stops watching; its log closes when it ends."""
        events = EventLog()

        async def run() -> CellRecord:
            try:
                return await self.run_cell(code, timeout_s, events)
            except GloveboxError as error:
                events.append(CellFailed(error.as_problem()))
                raise
            except Exception:
                unexpected = GloveboxError("The cell broke off; the log of the orchestrator says why.")
                events.append(CellFailed(unexpected.as_problem()))
                raise
            finally:
                events.close()

        task = asyncio.create_task(run(), name=f"cell in {self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return events, task

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

    async def restart(self) -> None:
        """Give the session a fresh kernel; a cell that runs ends as lost."""
        await self.files()
        await self.sandbox.restart_kernel()
        self.note_use()
