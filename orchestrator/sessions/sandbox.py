"""One session's sandbox: started when it is needed, connected to, lost and started again."""

import asyncio
import time
import uuid
from collections.abc import Callable

import structlog

from orchestrator.config import Profile
from orchestrator.errors import SandboxUnavailable, SessionNotFound
from orchestrator.kernel.connection import KernelConnection, Lost
from orchestrator.kernel.silent import printed_by
from orchestrator.limits import INTERRUPT_GRACE_S, KERNEL_DEATH_POLL_S, MIB, SANDBOX_ADOPT_S, SANDBOX_START_S
from orchestrator.metrics import SANDBOX_STARTS
from orchestrator.sessions import variables
from orchestrator.sessions.network import SessionNetwork
from orchestrator.sessions.seats import Seats
from orchestrator.sessions.state import SessionLife, SessionState, Step
from orchestrator.sessions.variables import Budget, Report
from orchestrator.sessions.watcher import Nobody, Watcher
from orchestrator.sessions.weight import Weight
from orchestrator.spawner.requests import Created
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.records import SessionRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.tracing import span
from orchestrator.workspace.folder import SessionFolder

log = structlog.get_logger()
_OOM_POLLS = 10


class SessionSandbox:
    """The sandbox of one session. It may not exist; `ready()` makes it so."""

    def __init__(
        self,
        record: SessionRecord,
        profile_name: str,
        profile: Profile,
        folder: SessionFolder,
        network: SessionNetwork,
        spawner: SpawnerClient,
        store: SessionStore,
        seats: Seats,
    ) -> None:
        self._record = record
        self._profile_name = profile_name
        self._profile = profile
        self._folder = folder
        self._network = network
        self._spawner = spawner
        self._store = store
        self.seats = seats
        self.weight = Weight(record.id, spawner)
        self._lock = asyncio.Lock()
        self._connection: KernelConnection | None = None
        self._token_is_fresh = False
        self._seen_oom_kills = 0
        self._short_of_memory_again = False
        self._restarted = False  # since a cell last ended by itself
        self._kernel_is_new = False  # the one that the gateway has, or will have in a moment, has run nothing
        self._getting_ready: set[asyncio.Task[KernelConnection]] = set()
        self._starting: asyncio.Task[KernelConnection] | None = None  # the one of them that has a seat by now
        self.life = SessionLife()
        self.woken_with: Report | None = None
        self.may_run = False

    @property
    def owner(self) -> str:
        """Whose the session is."""
        return self._record.owner

    @property
    def running(self) -> bool:
        """Whether a kernel is connected."""
        return self._connection is not None and self._connection.usable

    def note_fresh(self) -> None:
        """Say that the session was made just now: its token was never seen by any sandbox."""
        self._token_is_fresh = True

    def claimed(self, record: SessionRecord) -> None:
        """Say whose the session is from now on: it waited for an owner."""
        self._record = record
        self._network.owner = record.owner

    async def ready(self, watcher: Watcher | None = None) -> KernelConnection:
        """Return a connection to a kernel, starting a sandbox where there is none; the watcher is told if so.

        Whoever waits no longer leaves the queue. A start that has begun goes on: half of a waking would lose variables.

        Raises:
            SandboxUnavailable: it could not be started; the detail says why.
            SessionNotFound: the session was deleted meanwhile.

        """
        if self._connection is not None and self.running and not self._lock.locked():
            return self._connection
        task = asyncio.create_task(self._ready(watcher or Nobody()), name=f"sandbox of {self._record.id}")
        self._getting_ready.add(task)
        task.add_done_callback(self._got_ready)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task is not self._starting:
                task.cancel()
            raise

    def _got_ready(self, task: asyncio.Task[KernelConnection]) -> None:
        self._getting_ready.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # read, whoever has stopped waiting
            log.debug("sandbox not ready", session=self._record.id, reason=str(error))

    async def _ready(self, watcher: Watcher) -> KernelConnection:
        async with self._lock:
            if self.life.state is SessionState.DELETED:
                raise SessionNotFound(self._record.id)
            if self._connection is not None and self._connection.usable:
                return self._connection
            await self._disconnect("The kernel was replaced.")
            self.life.note(Step.START)
            try:
                with span("sandbox start", session=self._record.id, profile=self._profile_name):
                    self._connection = await self._adopt() or await self._wake(watcher)
            except BaseException:
                self.life.note(Step.START_FAILED)
                raise
            finally:
                self._starting = None
            self.life.note(Step.FRESH if self._kernel_is_new else Step.RESUMED)
            self._kernel_is_new = False
            self.may_run = True
            return self._connection

    async def _wake(self, watcher: Watcher) -> KernelConnection:
        """Start a sandbox, and give it back the variables that it fell asleep with, if any were kept."""
        await self.seats.take(self._record.owner, self._record.id, self._profile, watcher.queued)
        self._starting = asyncio.current_task()
        watcher.starting()
        began, how = time.monotonic(), "cold"
        try:
            connection = await self._start()
        except BaseException:
            if not self.may_run:
                self.seats.leave(self._record.id)
            raise
        self._kernel_is_new = True
        if await asyncio.to_thread(variables.are_kept, self._folder):
            how = "woken"
            printed = await printed_by(connection, variables.RESTORE, variables.RESTORE_S)
            report = variables.parse_report(printed)
            if report is None:  # whatever it did to this kernel, the next one loads nothing
                report = variables.UNREADABLE
                await connection.close("Its variables could not be loaded.")
                await self._stop("Its variables could not be loaded.")
                connection = await self._start()
            self._kernel_is_new = report.kept == 0
            self.woken_with = report
            watcher.woken(report)
        SANDBOX_STARTS.observe(how, time.monotonic() - began)
        return connection

    async def reconnect(self, cell_id: str | None = None) -> KernelConnection | None:
        """Connect to the sandbox that an earlier process left, if it is still there; `cell_id` may be running in it."""
        async with self._lock:
            if self.life.state is SessionState.DELETED or self.running:
                return self._connection
            self.life.note(Step.START)
            try:
                self._connection = await self._adopt(cell_id)
            except BaseException:
                self.life.note(Step.START_FAILED)
                raise
            self.life.note(Step.START_FAILED if self._connection is None else Step.RESUMED)
            return self._connection

    async def fall_asleep(self, is_needed: Callable[[], bool]) -> None:
        """Keep the variables in the workspace and end the container, unless `is_needed` says so meanwhile.

        Raises:
            SandboxUnavailable: the spawner could not end it.

        """
        async with self._lock:
            connection = self._connection
            if connection is not None and connection.usable and self.life.state is SessionState.IDLE:
                room = max(0, self._profile.disk_mb * MIB - (await asyncio.to_thread(self._folder.usage)).disk_bytes)
                budget = Budget(min(self._profile.keep_variables_mb * MIB, room), self._profile.keep_variables_s)
                if budget.most_bytes:
                    told = await printed_by(connection, budget.save(), budget.most_s + variables.SLACK_S)
                    if variables.parse_report(told) is None:
                        log.warning("variables not saved", session=self._record.id)
            if is_needed():
                await asyncio.to_thread(variables.forget, self._folder)
            else:
                await self._stop("The session was idle.")

    async def interrupt(self) -> None:
        """Interrupt the kernel, if there is one."""
        if self._connection is not None and self._connection.usable:
            await self._connection.interrupt()

    async def restart_kernel(self) -> None:
        """Give the session a fresh kernel: by the gateway where it answers, else by a new container.

        A second time in a row it is a new container anyway: the gateway may lie, or what was left behind be in the way.
        """
        async with self._lock:
            again, self._restarted = self._restarted, True
            self.woken_with = None
            await asyncio.to_thread(variables.forget, self._folder)  # whoever restarts means to begin afresh
            if again or self._connection is None or not self._connection.usable:
                await self._stop("The kernel was restarted.")
                return
            try:
                await self._connection.restart()
            except SandboxUnavailable:
                await self._stop("The kernel was restarted.")
            else:
                # A new connection, since the old one may miss the new kernel's first messages.
                await self._disconnect("The kernel was restarted.", gateway_lives=True)
                self._kernel_is_new = True
                self.life.note(Step.RENEWED)

    def note_working(self) -> None:
        """Say that a cell ended by itself."""
        self._restarted = False

    async def end_what_was_lost(self, lost: Lost) -> None:
        """See to it that a cell whose connection broke does not go on unseen: interrupt it, or replace its sandbox."""
        async with self._lock:
            await self._disconnect(lost.reason)
            # What eats the memory may outlive the kernel: files in /tmp, processes. A second time, it all goes.
            afresh = self._short_of_memory_again or not lost.gateway_lives
            if not (afresh or lost.variables_kept):
                self._kernel_is_new = True
                return  # its kernel is dead, and the gateway starts another
            try:
                connection = None if afresh else await self._adopt()
                if connection is not None:
                    self._connection = connection
                    await connection.interrupt()
                    if await connection.wait_until_idle(INTERRUPT_GRACE_S):
                        return
                await self._stop(lost.reason)
            except SandboxUnavailable as error:
                log.warning("lost sandbox not stopped", session=self._record.id, reason=error.detail)

    async def stop(self, reason: str) -> None:
        """Kill the container; files stay. Returns when it is proven gone.

        Raises:
            SandboxUnavailable: the spawner could not do it.

        """
        async with self._lock:
            await self._stop(reason)

    async def end_for_ever(self) -> None:
        """Kill the container; whoever still waits for a sandbox gets none, and nobody after.

        Raises:
            SandboxUnavailable: the spawner could not do it; the session goes on.

        """
        self.seats.give_up(self._record.id)
        async with self._lock:
            await self._stop("The session was deleted.")
            self.life.note(Step.DELETE)

    def live_on(self) -> None:
        """Take back `end_for_ever`: the session could not be deleted."""
        self.life = SessionLife()

    async def ran_out_of_memory(self) -> bool:
        """Tell whether the sandbox was short of memory since this was asked last (the engine says so a bit late)."""
        for _ in range(_OOM_POLLS):
            try:
                found = await self._spawner.inspect(self._record.id)
            except SandboxUnavailable:
                return False
            if found.oom_kills > self._seen_oom_kills:
                self._short_of_memory_again = self._seen_oom_kills > 0
                self._seen_oom_kills = found.oom_kills
                return True
            await asyncio.sleep(KERNEL_DEATH_POLL_S / _OOM_POLLS)
        return False

    async def close(self) -> None:
        """Let go of the connection; the container goes on for the next orchestrator to adopt."""
        for task in (waiting := [*self._getting_ready]):
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        async with self._lock:
            await self._disconnect("Glovebox is shutting down.")
            await self.weight.close()
            await self._network.close()

    async def _adopt(self, cell_id: str | None = None) -> KernelConnection | None:
        """Connect to a container that runs already, or return None when there is none that answers."""
        if not self.may_run:
            return None
        try:
            found = await self._spawner.inspect(self._record.id)
            if found.running:
                await self._network.open()
                with SANDBOX_STARTS.timed("adopted"):
                    connection = await self._connect(SANDBOX_ADOPT_S, cell_id)
                self.seats.hold(self._record.owner, self._record.id, self._profile)
                self.weight.adopted()
                # Of a sleep that did not come to pass: what runs is newer.
                await asyncio.to_thread(variables.forget, self._folder)
                return connection
        except SandboxUnavailable as error:
            log.warning("sandbox not adopted", session=self._record.id, reason=error.detail)
        await self._stop("The sandbox did not answer.")
        return None

    async def _start(self) -> KernelConnection:
        if not self._token_is_fresh:
            self._record = await self._store.renew_gateway(self._record)
        self._token_is_fresh = False
        self._seen_oom_kills = 0
        self._short_of_memory_again = self._restarted = False
        await asyncio.to_thread(self._prepare_folder)
        await self._network.open()
        self.may_run = True  # from here on, whatever happens to the one who waits for it
        created = await self._create()
        if not created.new:
            # It runs with settings of before: its token is another one.
            await self._spawner.stop(self._record.id)
            await self._create()
        self.weight.made()
        try:
            return await self._connect(SANDBOX_START_S)
        except SandboxUnavailable:
            await self._stop("The sandbox did not answer.")
            raise

    async def _create(self) -> Created:
        return await self._spawner.create(self._record.id, self._profile_name, self._record.uid)

    async def _connect(self, deadline_s: float, cell_id: str | None = None) -> KernelConnection:
        """Connect; with `cell_id` as the process before did, so that nothing of what came since is missed."""
        earlier = await asyncio.to_thread(self._folder.last_connection) if cell_id else None
        session = earlier or uuid.uuid4().hex
        await asyncio.to_thread(self._folder.note_connection, session)
        connection = KernelConnection(
            self._folder.run,
            self._record.uid,
            self._record.token,
            self._record.kernel_id,
            self._profile.peer_uid(self._record.uid),
            self._lost,
            session,
        )
        await connection.open(deadline_s, cell_id)
        return connection

    def _prepare_folder(self) -> None:
        self._folder.make()
        self._folder.leave_gateway_settings(self._record.token, self._record.kernel_id)

    def _lost(self, lost: Lost) -> None:
        if not lost.variables_kept:
            self.life.note(Step.KERNEL_LOST)

    async def _stop(self, reason: str) -> None:
        await self._disconnect(reason)
        await self._spawner.stop(self._record.id)
        self.may_run = False
        self.seats.leave(self._record.id)
        if self.life.state is not SessionState.STARTING:
            self.life.note(Step.STOPPED)
        await self._network.close()

    async def _disconnect(self, reason: str, *, gateway_lives: bool = False) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close(reason, gateway_lives=gateway_lives)
