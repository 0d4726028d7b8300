"""Mounting, unmounting, and what is mounted. Mount points are given by descriptor, so that no link can lead away."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

POINT = "disk"
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOSUID, _NODEV, _NOATIME = 2, 4, 1024
_DETACH, _NOFOLLOW = 2, 8
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo, as far as it matters here."""

    point: str
    kind: str


def parse(mountinfo: str) -> list[Mount]:
    """Return the mounts that a `mountinfo` names (proc_pid_mountinfo(5))."""
    found = []
    for line in mountinfo.splitlines():
        about, _, rest = line.partition(" - ")
        fields, kind = about.split(" "), rest.split(" ")[0]
        if len(fields) > 4 and kind:
            found.append(Mount(_unescaped(fields[4]), kind))
    return found


def mounted_disks() -> set[str]:
    """Return the mount points of all ext4 file systems that this process sees."""
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    return {mount.point for mount in parse(text) if mount.kind == "ext4"}


@contextmanager
def folder(path: Path, *below: str) -> Iterator[int]:
    """Yield a descriptor of a folder; the names below `path` are opened one by one, and none may be a link."""
    descriptor = os.open(path, FOLDER_FLAGS)
    try:
        for name in below:
            next_one = os.open(name, FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = next_one
        yield descriptor
    finally:
        os.close(descriptor)


def mount(device: str, session: int) -> None:
    """Mount a device on the folder `disk` in a session's open folder, making it."""
    with suppress(FileExistsError):
        os.mkdir(POINT, mode=0, dir_fd=session)
    with _point(session) as point:
        _check(
            _libc.mount(
                device.encode(),
                f"/proc/self/fd/{point}".encode(),
                b"ext4",
                ctypes.c_ulong(_NOSUID | _NODEV | _NOATIME),
                b"errors=remount-ro",
            )
        )


def unmount(session: int, *, even_in_use: bool = False) -> None:
    """Unmount a session's disk. With `even_in_use` it goes on for those who have it open, and for nobody else.

    Raises:
        OSError: EBUSY, it is in use.

    """
    flags = _NOFOLLOW | (_DETACH if even_in_use else 0)
    _check(_libc.umount2(f"/proc/self/fd/{session}/{POINT}".encode(), flags))


def give_folders(session: int, uid: int) -> None:
    """Make `workspace/`, the sandbox's, and `incoming/`, the orchestrator's, on a session's mounted disk.

    Raises:
        OSError: ENOTDIR or the like; or it is not mounted at all.

    """
    with _top(session) as top:
        for name in ("incoming", "workspace"):
            with suppress(FileExistsError):
                os.mkdir(name, mode=0o700, dir_fd=top)
        if os.stat("workspace", dir_fd=top, follow_symlinks=False).st_uid != uid:
            os.chown("workspace", uid, uid, dir_fd=top, follow_symlinks=False)


@contextmanager
def _point(session: int) -> Iterator[int]:
    descriptor = os.open(POINT, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=session)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _top(session: int) -> Iterator[int]:
    """Yield a descriptor of the mounted disk's top; never of the empty folder beneath it."""
    top = os.open(POINT, FOLDER_FLAGS, dir_fd=session)
    try:
        if os.fstat(top).st_dev == os.fstat(session).st_dev:
            raise OSError("the disk is not mounted")
        yield top
    finally:
        os.close(top)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)
