"""The image of one disk: a file with an ext4 file system in it.

While it is open, all of it is reserved on the host, so that a write in a sandbox fails at the session's own limit and
never at the host's. When it is closed, it takes what is on it: its free blocks are given back (see `give_back`).

An image is locked by whoever holds it (flock(2)): a tool of ours that works on it, or the loop device it is attached
to, which keeps the descriptor that it was given. So no image is ever attached twice, or checked while it is mounted.
"""

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

import structlog

from orchestrator.limits import DISK_TOOL_S, HOST_DISK_RESERVE_BYTES, MIB
from orchestrator.lines.messages import Refused

log = structlog.get_logger()
BLOCK_BYTES = 4096
_BLOCKS_PER_GROUP = 8 * BLOCK_BYTES
_INODE_BYTES = 256
_BLOCKS_PER_INODE = 4  # mke2fs's own ratio
_SUPERBLOCK_AT = 1024
_POLL_S = 0.01
_TOOLS = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
# Named one by one, so that a disk is the same whatever the host's mke2fs.conf says, and an older kernel mounts it.
_FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,"
    "extra_isize,metadata_csum"
)


def inodes(disk_mb: int) -> int:
    """Return how many files and folders a disk may hold: one for 16 KiB."""
    return max(1024, disk_mb * MIB // BLOCK_BYTES // _BLOCKS_PER_INODE)


def journal_mb(disk_mb: int) -> int:
    """Return the size of the journal in MiB: a host may lose power, and 4 is the least that ext4 takes."""
    return min(16, max(4, disk_mb // 128))


def image_bytes(disk_mb: int) -> int:
    """Return the size of the image in which `disk_mb` MiB are free for files: what ext4 needs for itself is added."""
    blocks = disk_mb * MIB // BLOCK_BYTES
    blocks += inodes(disk_mb) * _INODE_BYTES // BLOCK_BYTES
    blocks += journal_mb(disk_mb) * MIB // BLOCK_BYTES
    blocks += min(4096, blocks // 49)  # the kernel holds a fiftieth back for blocks of its own
    groups = blocks // _BLOCKS_PER_GROUP + 1
    blocks += 4 * groups + 64
    return -(-blocks * BLOCK_BYTES // MIB) * MIB


def make(image: Path, disk_mb: int) -> None:
    """Make an image. It bears its name only when it is whole.

    Raises:
        Refused: it could not be made.

    """
    unfinished = image.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, image_bytes(disk_mb))
            # The file reads as zeros, so there is nothing to write but the few blocks that say so.
            extended = "nodiscard,lazy_itable_init=0,assume_storage_prezeroed=1"
            sizes = ["-b", str(BLOCK_BYTES), "-I", str(_INODE_BYTES), "-N", str(inodes(disk_mb)), "-m", "0"]
            journal = ["-J", f"size={journal_mb(disk_mb)}"]
            _tool(descriptor, ["mkfs.ext4", "-q", "-F", *sizes, *journal, "-O", _FEATURES, "-E", extended], unfinished)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(image)
    finally:
        unfinished.unlink(missing_ok=True)


def lock(descriptor: int, patience_s: float) -> bool:
    """Lock an image for as long as anything holds the descriptor; tell whether it was free within that time."""
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def make_ready(descriptor: int, image: Path, disk_mb: int) -> None:
    """Check the file system of a locked image, as is needed after a power cut, and let it grow with its profile.

    Raises:
        Refused: it is damaged beyond what can be repaired without asking.

    """
    _tool(descriptor, ["e2fsck", "-p"], image)
    if _file_system_bytes(descriptor) < image_bytes(disk_mb):
        log.info("disk grows", image=image.name, disk_mb=disk_mb)
        os.ftruncate(descriptor, max(os.fstat(descriptor).st_size, image_bytes(disk_mb)))
        _tool(descriptor, ["e2fsck", "-f", "-p"], image)
        _tool(descriptor, ["resize2fs"], image)


def reserve(descriptor: int) -> None:
    """Take all of an image's room on the host.

    Raises:
        Refused: the host has not so much.

    """
    about, host = os.fstat(descriptor), os.fstatvfs(descriptor)
    missing = about.st_size - about.st_blocks * 512
    if missing > 0 and host.f_bavail * host.f_frsize < missing + HOST_DISK_RESERVE_BYTES:
        needed = f"{about.st_size // MIB:,} MiB"
        detail = f"The host's disk has no room for this session's ({needed}); ask whoever runs this Glovebox."
        raise Refused("disk_unavailable", detail)
    os.posix_fallocate(descriptor, 0, about.st_size)


def give_back(descriptor: int, image: Path) -> None:
    """Give the free blocks of a locked image back to the host; the check that comes with it is welcome, too.

    The kernel's own call (FITRIM) passes over blocks that it gave back before, though they were reserved again since.
    """
    try:
        _tool(descriptor, ["e2fsck", "-f", "-p", "-E", "discard"], image)
    except Refused as error:  # it will be told when it is opened
        log.warning("disk not given back", image=image.name, reason=error.refusal.detail)


def _file_system_bytes(descriptor: int) -> int:
    """Return the size of the file system, which is less than the file's when growing was cut off."""
    superblock = os.pread(descriptor, 1024, _SUPERBLOCK_AT)
    (low,), (high,) = struct.unpack_from("<I", superblock, 0x4), struct.unpack_from("<I", superblock, 0x150)
    return int(low | high << 32) * BLOCK_BYTES


def _tool(descriptor: int, command: list[str], image: Path) -> None:
    """Run a tool of e2fsprogs on a locked image. It inherits the lock, which then outlives this process if need be."""
    try:
        done = subprocess.run(
            [*command, str(image)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_TOOLS,
            pass_fds=[descriptor],
            timeout=DISK_TOOL_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        log.error("disk tool failed", image=image.name, error=str(error))
        raise Refused("disk_unavailable", f"The session's disk cannot be prepared: {error}.") from error
    repaired = command[0] == "e2fsck" and done.returncode in (1, 2)
    if done.returncode != 0:
        log.warning("disk tool", image=image.name, command=command, code=done.returncode, said=done.stdout[-2000:])
    if done.returncode != 0 and not repaired:
        detail = f"The session's disk is damaged ({command[0]} says so); the log of the disks service says more."
        raise Refused("disk_unavailable", detail)
