"""What a session's files lie on: a plain folder that is watched, or a hard disk that is mounted while it is needed."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from orchestrator.disks_client import DisksClient
from orchestrator.errors import SandboxUnavailable, SessionNotFound
from orchestrator.workspace.folder import SessionFolder

log = structlog.get_logger()


class SessionDisk(Protocol):
    """The disk of one session. A profile names the kind; a session's files never move from one to the other."""

    @property
    def is_open(self) -> bool:
        """Whether the files can be reached right now."""

    async def open(self, *, make: bool) -> None:
        """See to it that the files can be reached; without `make`, only if there are any.

        Raises:
            SandboxUnavailable: they cannot, and nothing takes their place.
            SessionNotFound: the session was deleted meanwhile.

        """

    async def used_bytes(self) -> int:
        """Return what the files take; of a disk that is closed, what they took when it was open."""

    async def close_if_unused(self, idle_s: float) -> None:
        """Let go of what `open` took, if that is so many seconds ago and no file is in use."""

    async def delete(self) -> None:
        """Remove what is not in the session's folder. Raises SandboxUnavailable; nothing is removed then."""


class WatchedDisk:
    """A plain folder. What a cell writes is counted while it runs (`cell.py`)."""

    is_open = True

    def __init__(self, session_id: str, folder: SessionFolder, disks: DisksClient) -> None:
        self._session_id = session_id
        self._folder = folder
        self._disks = disks
        self._lock = asyncio.Lock()
        self._workspace = str(folder.files / "workspace")
        self._made = False
        self._deleted = False

    async def open(self, *, make: bool) -> None:
        """Make the folders."""
        async with self._lock:
            if self._deleted:
                raise SessionNotFound(self._session_id)
            if self._made and _is_there(self._workspace):
                return
            if _is_there(self._folder.root / "disk"):
                raise _of_another_kind("hard", "watched")
            if make:
                await asyncio.to_thread(self._folder.make)
                self._made = True

    async def used_bytes(self) -> int:
        """Count what the files take."""
        return (await asyncio.to_thread(self._folder.usage)).disk_bytes

    async def close_if_unused(self, idle_s: float) -> None:
        """Do nothing: a folder is always there."""

    async def delete(self) -> None:
        """Remove the hard disk of a session whose profile is gone; else all is in the session's folder."""
        async with self._lock:
            if _is_there(self._folder.root / "disk"):
                await self._disks.delete(self._session_id)
            self._deleted = True


class HardDisk:
    """An ext4 image of the session's own, which the disks service mounts on `disk/` in its folder."""

    def __init__(self, session_id: str, profile_name: str, folder: SessionFolder, disks: DisksClient) -> None:
        self._session_id = session_id
        self._profile_name = profile_name
        self._folder = folder
        self._disks = disks
        self._lock = asyncio.Lock()
        self._used_at = 0.0  # in the loop's time
        self._deleted = False

    @property
    def is_open(self) -> bool:
        """Whether it is mounted: the kernel is asked, since others may mount and unmount."""
        return self._is_mounted()

    async def open(self, *, make: bool) -> None:
        """Have it mounted, made if need be."""
        async with self._lock:
            if self._deleted:
                raise SessionNotFound(self._session_id)
            self._used_at = asyncio.get_running_loop().time()
            if _is_there(self._folder.root / "workspace"):
                raise _of_another_kind("watched", "hard")
            if self._is_mounted() or not (make or _is_there(self._folder.files)):
                return
            await asyncio.to_thread(self._folder.make)
            await self._disks.open(self._session_id, self._profile_name, self._folder.uid)
            if not self._is_mounted():
                detail = "The session's disk is mounted where the orchestrator does not see it."
                raise SandboxUnavailable(detail, code="disk_unavailable")
            await asyncio.to_thread(self._sweep)

    async def used_bytes(self) -> int:
        """Return what is taken of the disk, and keep that for when it is closed."""
        return await asyncio.to_thread(self._used_bytes)

    async def close_if_unused(self, idle_s: float) -> None:
        """Have it unmounted, unless it was opened within this time or a file is in use."""
        async with self._lock:
            if self.is_open and asyncio.get_running_loop().time() - self._used_at > idle_s:
                try:
                    await asyncio.to_thread(self._used_bytes)
                    await self._disks.close(self._session_id)
                except SandboxUnavailable as error:
                    log.info("disk not closed", session=self._session_id, code=error.code, reason=error.detail)

    async def delete(self) -> None:
        """Remove the image; a file that is still being read goes on for its reader."""
        async with self._lock:
            if _is_there(self._folder.files):
                await self._disks.delete(self._session_id)
            self._deleted = True

    def _is_mounted(self) -> bool:
        return self._folder.files.is_mount()

    def _used_bytes(self) -> int:
        kept = self._folder.root / "disk_bytes"  # the sandbox does not see it
        if self._is_mounted():
            found = self._folder.usage().disk_bytes
            kept.write_text(str(found))
            return found
        with suppress(OSError, ValueError):
            return int(kept.read_text())
        return 0

    def _sweep(self) -> None:
        """Remove uploads that a crash cut off: nothing is on its way to a disk that was just mounted. Blocks."""
        for left in (self._folder.files / "incoming").glob("*.part"):
            left.unlink()


def _is_there(path: Path | str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _of_another_kind(kind: str, wanted: str) -> SandboxUnavailable:
    detail = (
        f"This session's files lie on a {kind} disk, but its profile now has a {wanted} one. "
        "Give the new kind to a profile of another name, and sessions of this one keep theirs."
    )
    return SandboxUnavailable(detail, code="disk_unavailable")
