"""Running one cell: the kernel's messages become outputs and events, limits of time hold, and its end is told.

What decides is in ending.py, without I/O; `CellRun` moves messages and watches the clock.
"""

import asyncio
import math
import time
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import SandboxUnavailable
from orchestrator.events import CellNotice, CellStarted, Event, EventLog, Notice, OutputAdded, SandboxState
from orchestrator.kernel.connection import Heard, KernelConnection, Lost
from orchestrator.kernel.messages import Message, Reply, State
from orchestrator.kernel.outputs import Outputs
from orchestrator.limits import DISK_WATCH_S, IDLE_AFTER_REPLY_S, INTERRUPT_GRACE_S, INTERRUPT_PACE_S, SOCKET_POLL_S
from orchestrator.metrics import CELL_TIMES, CELL_WAITS, CELLS, LIMITS_HIT
from orchestrator.sessions.ending import CellProgress, changes, ending, joined, late, left, without_note
from orchestrator.sessions.later import Later
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.spill import SpillFiles
from orchestrator.sessions.state import Step
from orchestrator.sessions.variables import Report
from orchestrator.store.records import ENDING, CellRecord
from orchestrator.workspace.folder import FoundFile, SessionFolder
from orchestrator.workspace.usage import Usage


def ran_s(began_at: datetime, now: datetime) -> float:
    """Return for how long a cell has run that an earlier process began, whose other clocks are gone.

    The clock on the wall may have been put back meanwhile: a cell gets no more than its whole limit once more.
    """
    return max(0.0, (now - began_at).total_seconds())


class CellRun:
    """One cell on its way."""

    def __init__(
        self, cell: CellRecord, sandbox: SessionSandbox, folder: SessionFolder, timeout_s: float, events: EventLog
    ) -> None:
        self._cell = cell
        self._sandbox = sandbox
        self._folder = folder
        self._timeout_s = timeout_s
        self._events = events
        self._spill = SpillFiles(folder, cell.cell_id)
        self._outputs = Outputs(cell.cell_id, self._spill)
        self._earlier = without_note(cell.outputs)  # what it had put out when an earlier process ended
        self._progress = CellProgress()
        self._timer: asyncio.Timeout | None = None
        self._began = time.monotonic()
        # In the loop's time.
        self._deadline = math.inf
        self._must_end_by = math.inf
        self._interrupted_at = -math.inf
        self._stopped_at = -math.inf
        self._used_at_first: Usage | None = None
        self.in_kernel = False  # it has a sandbox, and is or was sent there
        self.is_let_go = False  # this process ends, and the next one hears the cell out
        self.left = cell.status == ENDING  # it was told as interrupted, and its end is of no interest to watchers

    @property
    def began_at(self) -> datetime:
        """When it was asked for."""
        return self._cell.created_at

    @property
    def message_id(self) -> str | None:
        """The assistant message that the cell belongs to."""
        return self._cell.message_id

    async def run(self) -> CellRecord:
        """Run the cell to its end and return it complete. The end is in the event log, too.

        Raises:
            SandboxUnavailable: no sandbox could be started, so the cell never ran.

        """
        with CELL_WAITS.timed("sandbox"):
            connection = await self._sandbox.ready(self)
            before, self._used_at_first = await self._folder.glances.files_and_usage()
        self.in_kernel = True
        self._sandbox.life.note(Step.RUN)
        self._tell(CellStarted(self._cell.cell_id, self._cell.code))
        self._began = time.monotonic()
        try:
            if self._progress.interrupted:
                self._progress.reply = Reply("aborted", None)
            else:
                asked = connection.executing(self._cell.code, message_id=self._cell.cell_id)
                await self._hear_out(connection, asked, self._timeout_s)
            return await self._finish(before)
        finally:
            self._sandbox.life.note(Step.DONE)
            await self._spill.discard()

    async def resume(self) -> CellRecord:
        """Hear a cell out that an earlier process sent, and return it complete. The end is in the event log, too."""
        self._tell(CellStarted(self._cell.cell_id, self._cell.code))
        if self.left:
            self._note_stop()
        connection = await self._sandbox.reconnect(self._cell.cell_id)
        self.in_kernel = True
        self._sandbox.life.note(Step.RUN)
        so_far_s = ran_s(self._cell.created_at, datetime.now(UTC))
        self._began = time.monotonic() - so_far_s
        # What was there before the cell began is only known by its time.
        found = await asyncio.to_thread(self._folder.snapshot)
        began_ns = int(self._cell.created_at.timestamp() * 1e9)
        before = {path: file for path, file in found.items() if file.changed_ns < began_ns}
        try:
            if connection is None:
                self._progress.lost = Lost("Glovebox was restarted, and the sandbox ended meanwhile.")
            else:
                replaced = asyncio.create_task(
                    self._end_if_replaced(connection), name=f"kernel of {self._cell.cell_id}"
                )
                try:
                    rest_s = max(1.0, self._timeout_s - so_far_s)
                    await self._hear_out(connection, connection.heard_of(self._cell.cell_id), rest_s)
                finally:
                    replaced.cancel()
            return await self._finish(before)
        finally:
            self._sandbox.life.note(Step.DONE)
            await self._spill.discard()

    def outputs_so_far(self) -> list[dict[str, Any]]:
        """Return what the cell has put out until now, as far as it is kept in memory."""
        return joined(self._earlier, self._outputs.so_far())

    async def _hear_out(
        self, connection: KernelConnection, asked: AbstractAsyncContextManager[Heard], most_s: float
    ) -> None:
        try:
            async with asked as heard:
                with self._sandbox.weight.cell():
                    await self._heard_out(heard, connection, most_s)
        except SandboxUnavailable as error:
            self._progress.lost = Lost(error.detail)

    async def _heard_out(self, heard: Heard, connection: KernelConnection, most_s: float) -> None:
        if self._progress.interrupted:
            await connection.interrupt()
        after_s = 0 if self._used_at_first is None else DISK_WATCH_S
        watch = Later(after_s, self._watch_disk, f"disk of {self._cell.session_id}")
        try:
            await self._listen(heard, connection, most_s)
        except asyncio.CancelledError:
            if not self.is_let_go:
                raise
            await asyncio.shield(self._take_the_rest(heard, connection))
            if not self._progress.done:
                raise
        finally:
            watch.stop()

    async def _take_the_rest(self, heard: Heard, connection: KernelConnection) -> None:
        """Take what is on its way while the connection closes: what comes after that waits for the next process."""
        closing = asyncio.create_task(connection.close("Glovebox is shutting down."))
        while not (closing.done() and heard.empty()):
            with suppress(TimeoutError):
                async with asyncio.timeout(SOCKET_POLL_S):
                    if not isinstance(message := await heard.get(), Lost):
                        self._take(message)
        await closing

    async def _end_if_replaced(self, connection: KernelConnection) -> None:
        """End the cell when the kernel is done with whatever it was asked, and said nothing of this cell's end."""
        if await connection.wait_until_idle(self._timeout_s):
            await asyncio.sleep(IDLE_AFTER_REPLY_S)
            if self._progress.reply is None:
                connection.give_up(self._cell.cell_id, Lost("The kernel ended while Glovebox was restarted."))

    async def interrupt(self, *, must_end: bool) -> None:
        """Interrupt the cell. With `must_end`, a cell that does not heed it loses its kernel."""
        self._progress.interrupted = True
        now = asyncio.get_running_loop().time()
        if must_end:
            self._note_stop()
        if now - self._interrupted_at >= INTERRUPT_PACE_S:
            self._interrupted_at = now
            await self._sandbox.interrupt()

    def _note_stop(self) -> None:
        """Give the cell so long to end from the first time that it has to."""
        self._progress.interrupted = True
        now = asyncio.get_running_loop().time()
        if self._must_end_by == math.inf:
            self._stopped_at = now
            self._must_end_by = now + INTERRUPT_GRACE_S
            self._end_by(min(self._deadline, self._must_end_by))

    def leave(self) -> CellRecord:
        """Return what is told of the cell that does not end when it has to. Watchers hear no more of it from now on."""
        told = left(self._cell, self.outputs_so_far(), time.monotonic() - self._began)
        self._tell(OutputAdded(self._cell.cell_id, told.outputs[-1]))
        self.left = True
        return told

    @property
    def kernel_lives(self) -> bool:
        """Whether the variables are there after the cell has ended."""
        return self._progress.kernel_lives

    async def _watch_disk(self) -> None:
        """End the cell when it writes past the session's disk limit; a cell that only deletes may run beyond it."""
        if self._folder.hard:
            return  # it ends by itself: the cell's code reads "no space left"
        at_first = self._used_at_first
        if at_first is None:
            at_first = await asyncio.to_thread(self._folder.usage)
            await asyncio.sleep(DISK_WATCH_S)
        while True:
            began = time.monotonic()
            try:
                if await asyncio.to_thread(self._folder.outgrew, at_first):
                    break
            except OSError:  # what cannot be measured is not allowed
                break
            # A large tree is looked at less often: the watch costs no more than a tenth of a core.
            await asyncio.sleep(max(DISK_WATCH_S, 10 * (time.monotonic() - began)))
        self._progress.disk_full = True
        self._say("The disk limit is reached; the cell is being interrupted.")
        await self.interrupt(must_end=True)

    def starting(self) -> None:
        """Tell watchers that there is no sandbox yet."""
        self._tell(SandboxState("starting"))

    def queued(self, place: int) -> None:
        """Tell watchers that the host is full."""
        self._tell(SandboxState("queued", place))

    def woken(self, report: Report) -> None:
        """Tell watchers what became of the variables while the session slept."""
        self._tell(Notice("woken", report.told()))

    async def _listen(self, heard: Heard, connection: KernelConnection, most_s: float) -> None:
        """Take messages until the cell is done or out of time and patience."""
        loop = asyncio.get_running_loop()
        self._end_by(min(loop.time() + most_s, self._must_end_by))
        while not self._progress.done:
            try:
                await self._take_all(heard)
            except TimeoutError:
                if self._progress.reply is not None:
                    self._say("The end of this cell's output may be missing.")  # its closing `idle` was lost
                    return
                if self._progress.timed_out or self._must_end_by <= self._deadline:
                    await self._sandbox.restart_kernel()
                    return
                self._progress.timed_out = True
                self._say(f"The time limit of {self._timeout_s:g} s is reached; the cell is being interrupted.")
                self._end_by(min(loop.time() + INTERRUPT_GRACE_S, self._must_end_by))
                await connection.interrupt()

    async def _take_all(self, heard: Heard) -> None:
        try:
            async with asyncio.timeout_at(self._deadline) as self._timer:
                while not self._progress.done:
                    self._take(await heard.get())
                    await self._spill.flush()
        finally:
            self._timer = None

    def _end_by(self, when: float) -> None:
        self._deadline = when
        if self._timer is not None:
            self._timer.reschedule(when)

    def _take(self, message: Message | Lost) -> None:
        self._progress.take(message)
        if self._progress.reply is not None and not self._progress.idle and self._timer is not None:
            # The reply overtakes outputs, which may still be coming at the pace that a gateway is held to; but only as
            # long as the cell might have run.
            silent_by = asyncio.get_running_loop().time() + IDLE_AFTER_REPLY_S
            self._timer.reschedule(min(silent_by, self._deadline + IDLE_AFTER_REPLY_S))
        match message:
            case Reply() | State() | Lost():
                pass
            case _:
                for event in self._outputs.take(message):
                    self._tell(event)

    def _say(self, text: str) -> None:
        self._tell(CellNotice(self._cell.cell_id, text))

    def _tell(self, event: Event) -> None:
        if not self.left:
            self._events.append(event)

    async def _finish(self, before: dict[str, FoundFile]) -> CellRecord:
        duration_s = time.monotonic() - self._began
        late_s = asyncio.get_running_loop().time() - self._stopped_at
        gone = self._progress.lost is not None and not (self._progress.timed_out or self._progress.interrupted)
        out_of_memory = gone and await self._sandbox.ran_out_of_memory()
        if self._progress.lost is not None:
            await self._sandbox.end_what_was_lost(self._progress.lost)
        elif self._progress.reply is not None and not self._progress.timed_out:
            self._sandbox.note_working()
        status = self._progress.status(out_of_memory=out_of_memory)
        told = ending(self._progress, status, self._timeout_s)
        if told is not None:
            for event in self._outputs.note(*told):
                self._tell(event)
        for sentence in await self._spill.finish():
            self._say(sentence)
        outputs = joined(self._earlier, self._outputs.finish())
        self._count(status, out_of_memory=out_of_memory)
        CELL_TIMES.observe(status, duration_s)
        after = await self._folder.glances.files()
        reply = self._progress.reply
        ended = replace(
            self._cell,
            status=status,
            execution_count=reply.execution_count if reply else None,
            outputs=outputs,
            duration_s=round(duration_s, 4),
            truncated=self._outputs.truncated,
            files=changes(before, after),
        )
        return late(ended, late_s) if self.left and self.kernel_lives else ended

    def _count(self, status: str, *, out_of_memory: bool) -> None:
        CELLS.count(status)
        limits = {
            "time": self._progress.timed_out,
            "memory": out_of_memory,
            "disk": self._progress.disk_full,
            "output": self._outputs.truncated,
        }
        for limit, hit in limits.items():
            if hit:
                LIMITS_HIT.count(limit)
