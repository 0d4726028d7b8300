"""One live session: its sandbox, its files, and the one cell that may run at a time."""

import asyncio
import math
import uuid
from datetime import UTC, datetime

from orchestrator.config import Profile
from orchestrator.errors import GloveboxError
from orchestrator.events import CellFailed, EventLog
from orchestrator.sessions.cell import CellRun, finished_event
from orchestrator.sessions.disk import SessionDisk
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.state import SessionState
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord
from orchestrator.workspace.folder import SessionFolder

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
    ) -> None:
        self.id = session_id
        self.profile = profile
        self.folder = folder
        self.disk = disk
        self.sandbox = sandbox
        self.used_at = asyncio.get_running_loop().time()
        self._conversation = conversation
        self._turnstile = asyncio.Lock()
        self._run: CellRun | None = None
        self._waiting = 0
        self._use_stored_at = -math.inf
        self._tasks: set[asyncio.Task[CellRecord]] = set()

    @property
    def state(self) -> SessionState:
        """What the session is doing now."""
        if self.sandbox.starting:
            return SessionState.STARTING
        if self._run is not None:
            return SessionState.BUSY
        return SessionState.READY if self.sandbox.running else SessionState.ASLEEP

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

        """
        limit_s = min(timeout_s or self.profile.cell_timeout_s, self.profile.cell_timeout_s)
        cell = CellRecord(uuid.uuid4().hex, self.id, message_id, code, datetime.now(UTC))
        self._waiting += 1
        try:
            async with self._turnstile:
                return await self._run_alone(cell, limit_s, events)
        finally:
            self._waiting -= 1
            self.note_use()

    async def _run_alone(self, cell: CellRecord, limit_s: float, events: EventLog) -> CellRecord:
        self._run = CellRun(cell, self.sandbox, self.folder, limit_s, events)
        begun = asyncio.create_task(self._conversation.begin_cell(cell), name=f"row of {cell.cell_id}")
        try:
            await self.files(make=True)
            finished = await self._run.run()
            await begun
        except BaseException:
            await asyncio.gather(begun, return_exceptions=True)
            await asyncio.shield(self._conversation.abandon_cell(cell.cell_id))
            raise
        finally:
            self._run = None
        # Shielded: a stop that comes at this very moment must not leave the cell open.
        await asyncio.shield(self._conversation.finish_cell(finished))
        events.append(finished_event(finished))
        return finished

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

    async def interrupt(self, *, must_end: bool = False) -> None:
        """Interrupt the cell that runs, if one does."""
        if self._run is not None:
            await self._run.interrupt(must_end=must_end)

    async def restart(self) -> None:
        """Give the session a fresh kernel; a cell that runs ends as lost."""
        await self.sandbox.restart_kernel()
        self.note_use()
