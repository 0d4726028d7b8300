"""All sessions: making, finding, deleting them, and keeping what runs in step with what is stored."""

import asyncio
import builtins
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from orchestrator.config import Config
from orchestrator.config_people import Role
from orchestrator.disks_client import DisksClient
from orchestrator.errors import BadRequest, DatabaseUnavailable, Forbidden, SandboxUnavailable, SessionNotFound
from orchestrator.kernel.silent import printed_by
from orchestrator.limits import GIVES_WAY_AFTER_S, MIB, PRELOAD_S
from orchestrator.metrics import SANDBOX_STARTS
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.admission import Room
from orchestrator.sessions.disk import HardDisk, WatchedDisk
from orchestrator.sessions.disk_quota import DiskQuota
from orchestrator.sessions.network import Networks
from orchestrator.sessions.pool import WarmPool
from orchestrator.sessions.quota import QuotaOf
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.seats import Seats
from orchestrator.sessions.session import LiveSession, mark_lost
from orchestrator.sessions.state import SessionState
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, SessionRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.removal import empty_trash, remove_folder

log = structlog.get_logger()
_LONGEST_SWEEP_S = 30.0


def _preload(modules: Iterable[str]) -> str:
    """Return code that imports modules, those that there are, and leaves no name behind."""
    each = "for name in names:\n try: __import__(name)\n except Exception: pass"
    return f"exec({each!r}, {{'names': {list(modules)!r}}})"


class Sessions:
    """The session service. Owners are checked here: another owner's session does not exist."""

    def __init__(
        self,
        config: Config,
        data: Path,
        store: SessionStore,
        conversation: ConversationStore,
        spawner: SpawnerClient,
        disks: DisksClient,
        networks: Networks,
        capacity: Room,
        quota_of: QuotaOf,
        activity: Activity,
    ) -> None:
        self._config = config
        self._networks = networks
        self._data = data
        self._store = store
        self._conversation = conversation
        self._spawner = spawner
        self._disks = disks
        self._activity = activity
        self._live: dict[str, LiveSession] = {}
        sizes = {name: config.waiting(name) for name in config.profiles}
        self.pool = WarmPool(sizes, self._make_warm, self._drop_warm, self._is_quiet)
        self._deleted: set[str] = set()
        self.seats = Seats(capacity, quota_of, self._spare)
        self.disk_quota = DiskQuota(quota_of, self._live_of)
        self._running_at_start: set[str] = set()
        self._storing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take up what an earlier process left: adopt sandboxes with a session, remove all others."""
        cells = await self._conversation.close_what_a_crash_left_open()
        await asyncio.to_thread(self._sweep_folders)
        for session_id in await self._store.waiting_ids():  # what waited is out of date by now
            await self._store.delete(session_id)
        ids = await self._store.all_ids()
        try:
            sandboxes = await self._spawner.list()
        except SandboxUnavailable as error:
            log.warning("no sandboxes reconciled", reason=error.detail)
            self._running_at_start = ids
            await self._take_up(cells)
            return
        for sandbox in sandboxes:
            if sandbox.session_id in ids and sandbox.running:
                self._running_at_start.add(sandbox.session_id)
                continue
            try:
                await self._spawner.stop(sandbox.session_id)
            except SandboxUnavailable as error:
                log.warning("orphan not removed", session=sandbox.session_id, reason=error.detail)
                ids.add(sandbox.session_id)  # its folder may be in use
        await self._reconcile_disks(ids)
        await asyncio.to_thread(self._remove_orphaned_folders, ids)
        await self._take_up(cells)
        log.info("sandboxes reconciled", adopted=len(self._running_at_start))

    async def _take_up(self, cells: Iterable[CellRecord]) -> None:
        """Connect to what runs, and hear its cells out; those whose sandbox is gone are lost."""
        running = {cell.session_id: cell for cell in cells}
        for cell in cells:
            if cell.session_id not in self._running_at_start or running[cell.session_id] is not cell:
                await mark_lost(self._conversation, cell)
        for record in await self._store.some(self._running_at_start):
            self.live(record).resume(running.get(record.id))

    async def let_go(self) -> None:
        """Stop following what runs, without ending it: this process is about to end."""
        await asyncio.gather(*(session.let_go() for session in self._live.values()))

    async def close(self) -> None:
        """Let go of all sandboxes; they go on and are adopted at the next start."""
        await self.pool.close()
        await asyncio.gather(*self._storing, return_exceptions=True)
        await asyncio.gather(*(session.sandbox.close() for session in self._live.values()))

    async def make(self, owner: str, role: Role, name: str, profile: str | None) -> SessionRecord:
        """Make a session.

        Raises:
            BadRequest: there is no such profile.
            Forbidden: the owner's role may not use it.
            TooManyRequests: the owner's sessions take all the disk that they may use.

        """
        chosen = profile or self._config.default_profile
        mine = ", ".join(one for one, about in self._config.profiles.items() if role in about.roles)
        if chosen not in self._config.profiles:
            raise BadRequest(f"There is no profile {chosen!r}; allowed: {mine}.", code="unknown_profile")
        if role not in self._config.profiles[chosen].roles:
            detail = f"The profile {chosen!r} is not for a {role}. Choose one of these, or ask an admin: {mine}."
            raise Forbidden(detail, code="profile_not_allowed", title="That profile is not for everybody")
        await self.disk_quota.allow_session(owner)
        within_quota = await self.seats.allow(owner, self._config.profiles[chosen])
        if within_quota and (warm := self.pool.take(chosen)) is not None:
            try:
                with SANDBOX_STARTS.timed("warm"):
                    record = await self._store.claim(warm.id, owner, name)
            except BaseException:
                await self._drop_warm(warm)
                raise
            warm.claimed(record)
            self.seats.hold(owner, record.id, warm.profile)
            self._live[record.id] = warm
        else:
            record = await self._store.add(owner, name, chosen)
            self.live(record).sandbox.note_fresh()
        self._activity.note(owner, record.id, "session_made", chosen)
        return record

    async def _make_warm(self, profile: str) -> LiveSession:
        """Make a session that nobody owns, with a kernel that has run nothing and imported much.

        Raises:
            SandboxUnavailable: it could not be started; nothing of it is left.

        """
        record = await self._store.add_waiting(profile)
        session = self._make_live(record)
        session.sandbox.note_fresh()
        try:
            await session.files(make=True)
            connection = await session.sandbox.ready()
            await printed_by(connection, _preload(self._config.profiles[profile].preload), PRELOAD_S)
        except asyncio.CancelledError:  # we are ending: the next start removes it
            await session.sandbox.close()
            raise
        except BaseException:
            await self._drop_warm(session)
            raise
        return session

    async def _drop_warm(self, session: LiveSession) -> None:
        try:
            await self._erase(session)
        except SandboxUnavailable as error:  # the next start removes it
            log.warning("warm sandbox not removed", session=session.id, reason=error.detail)

    async def _spare(self, owner: str | None) -> bool:
        """End the sandbox that can best be spared, of one owner or of all; tell whether there was one.

        Whoever waits for nobody goes first, then who was idle for longest. Variables are kept.
        """
        if owner is None and await self.pool.give_way():
            return True
        patience_s = GIVES_WAY_AFTER_S if owner is None else 0.0
        used_before = asyncio.get_running_loop().time() - patience_s
        idle = [
            session
            for session in self._live.values()
            if owner in (None, session.owner) and session.can_sleep and session.used_at <= used_before
        ]
        for session in sorted(idle, key=lambda one: one.used_at):
            try:
                await session.fall_asleep()
            except SandboxUnavailable as error:
                log.warning("sandbox did not give way", session=session.id, reason=error.detail)
            else:
                return True
        return False

    def _is_quiet(self) -> bool:
        starting = any(session.state is SessionState.STARTING for session in self._live.values())
        return not starting and self.seats.waiting == 0

    async def find(self, owner: str, session_id: str) -> tuple[SessionRecord, LiveSession]:
        """Return a session of this owner. Raises SessionNotFound."""
        record = await self._store.get(owner, session_id)
        return record, self.live(record)

    async def list(self, owner: str) -> list[tuple[SessionRecord, LiveSession]]:
        """Return an owner's sessions, most recently used first."""
        records = await self._store.list(owner)
        return [(record, self.live(record)) for record in records if record.id not in self._deleted]

    async def _live_of(self, owner: str) -> builtins.list[LiveSession]:
        return [live for _, live in await self.list(owner)]

    async def find_shared(self, reader: str, session_id: str) -> tuple[SessionRecord, LiveSession, str]:
        """Return a session that somebody shares with this reader, and who. Raises SessionNotFound."""
        record, shared_by = await self._store.get_shared(reader, session_id)
        return record, self.live(record), shared_by

    async def list_shared(self, reader: str) -> builtins.list[tuple[SessionRecord, LiveSession, str]]:
        """Return the sessions that others share with this reader, and who, most recently used first."""
        found = await self._store.list_shared(reader)
        return [(record, self.live(record), by) for record, by in found if record.id not in self._deleted]

    async def awake(self) -> builtins.list[tuple[SessionRecord, LiveSession]]:
        """Return the sessions of all owners that have a sandbox, or wait for one."""
        ids = {one.id for one in self._live.values() if one.sandbox.may_run or one.in_use}
        return [(record, self.live(record)) for record in await self._store.some(ids) if record.id not in self._deleted]

    async def find_anybodys(self, session_id: str) -> tuple[SessionRecord, LiveSession]:
        """Return a session, whoever owns it. Raises SessionNotFound."""
        for record in await self._store.some({session_id}):
            return record, self.live(record)
        raise SessionNotFound(session_id)

    async def count_by_state(self) -> dict[str, int]:
        """Return how many sessions of all owners are in each state."""
        counted = Counter({state.value: 0 for state in SessionState})
        counted.update(session.state for session in self._live.values())
        owned = await self._store.all_ids() - await self._store.waiting_ids()
        counted[SessionState.ASLEEP] += len(owned - self._live.keys())
        return dict(counted)

    async def change(self, record: SessionRecord, changes: Mapping[str, str | None]) -> None:
        """Set some of a session's `name`, `model`, `approval` and `instructions`."""
        await self._store.change(record.id, changes)

    def touch(self, record: SessionRecord) -> None:
        """Note that a session is used: for its idle time at once, in the database now and then; nobody waits for it."""
        if self.live(record).note_use():
            task = asyncio.create_task(self._store_use(record.id), name=f"use of {record.id}")
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)

    async def _store_use(self, session_id: str) -> None:
        with suppress(DatabaseUnavailable):  # what it was used for is more than the order in a list
            await self._store.touch(session_id)

    async def delete(self, record: SessionRecord) -> None:
        """Delete a session: its container first, proven dead, then its hard disk, then its row, then its folder.

        Raises:
            SandboxUnavailable: the container or the hard disk could not be removed; nothing is deleted then.

        """
        await self._erase(self.live(record))
        self._activity.note(record.owner, record.id, "session_deleted", record.profile)

    async def _erase(self, session: LiveSession) -> None:
        await session.sandbox.end_for_ever()
        try:
            await session.disk.delete()
        except BaseException:
            session.sandbox.live_on()
            raise
        await self._store.delete(session.id)
        self._live.pop(session.id, None)
        self._deleted.add(session.id)
        await asyncio.to_thread(remove_folder, session.folder.root, self._trash)

    async def put_idle_ones_to_sleep(self) -> None:
        """Stop containers and close disks that were idle for their profile's time, for ever; workspaces stay."""
        shortest = min(profile.idle_s for profile in self._config.profiles.values())
        while True:
            await asyncio.sleep(min(_LONGEST_SWEEP_S, shortest / 4))
            now = asyncio.get_running_loop().time()
            for session in list(self._live.values()):
                if session.sandbox.running and not session.in_use:
                    await session.sandbox.weight.look_while_idle()
                if session.in_use or now - session.used_at <= session.profile.idle_s:
                    continue
                try:
                    if session.can_sleep:
                        await session.fall_asleep()
                except Exception as error:  # one session's trouble must not keep the others awake
                    reason = error.detail if isinstance(error, SandboxUnavailable) else repr(error)
                    log.warning("sandbox not put to sleep", session=session.id, reason=reason)
                else:
                    await session.disk.close_if_unused(session.profile.idle_s)

    def live(self, record: SessionRecord) -> LiveSession:
        """Return the live side of a session, making it at its first use.

        Raises:
            SessionNotFound: it was deleted since its row was read.

        """
        if record.id in self._deleted:
            raise SessionNotFound(record.id)
        if record.id not in self._live:
            self._live[record.id] = self._make_live(record)
        return self._live[record.id]

    def _make_live(self, record: SessionRecord) -> LiveSession:
        # A profile that was taken out of the config since: the default one stands in.
        name = record.profile if record.profile in self._config.profiles else self._config.default_profile
        profile = self._config.profiles[name]
        hard = profile.disk == "hard"
        folder = SessionFolder(self._data / "sessions" / record.id, record.uid, profile.disk_mb * MIB, hard=hard)
        disk = HardDisk(record.id, name, folder, self._disks) if hard else WatchedDisk(record.id, folder, self._disks)
        network = self._networks.of(record, profile, folder.root)
        sandbox = SessionSandbox(record, name, profile, folder, network, self._spawner, self._store, self.seats)
        sandbox.may_run = record.id in self._running_at_start
        return LiveSession(record.id, profile, folder, disk, sandbox, self._conversation, self._activity)

    async def check_disks(self) -> None:
        """Raise SandboxUnavailable when a profile has a hard disk and the disks service does not answer."""
        if any(profile.disk == "hard" for profile in self._config.profiles.values()):
            await self._disks.list()

    async def _reconcile_disks(self, ids: set[str]) -> None:
        """Remove disks of sessions whose row is gone, and close those that no sandbox needs."""
        if all(profile.disk != "hard" for profile in self._config.profiles.values()):
            return
        try:
            for disk in await self._disks.list():
                if disk.session_id not in ids:
                    await self._disks.delete(disk.session_id)
                elif disk.mounted and disk.session_id not in self._running_at_start:
                    await self._disks.close(disk.session_id)
        except SandboxUnavailable as error:
            log.warning("disks not reconciled", reason=error.detail)

    def _sweep_folders(self) -> None:
        """Remove what a crash cut off: half deletions and half uploads. Blocks."""
        empty_trash(self._trash)
        for where in ("incoming", "disk/incoming"):
            for left in (self._data / "sessions").glob(f"*/{where}/*.part"):
                left.unlink()

    def _remove_orphaned_folders(self, ids: set[str]) -> None:
        """Remove folders of sessions whose row is gone: a crash came between the two. Blocks."""
        folders = self._data / "sessions"
        for folder in folders.iterdir() if folders.is_dir() else ():
            if folder.name not in ids and not (folder / "disk").is_mount():
                remove_folder(folder, self._trash)

    @property
    def _trash(self) -> Path:
        return self._data / "trash"
