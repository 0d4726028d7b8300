"""Loop devices, by the kernel's own calls (linux/loop.h): no program is started, and none is left when we are killed.

Every device is attached with `autoclear`: it goes away with its last user, which is the mount.
"""

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from orchestrator.disks.images import BLOCK_BYTES

_CONTROL = "/dev/loop-control"
_BLOCK_DEVICES = Path("/sys/block")
_GET_FREE, _CONFIGURE, _GET_STATUS = 0x4C82, 0x4C0A, 0x4C05
_AUTOCLEAR, _DIRECT_IO = 4, 16  # with direct I/O each block is in the page cache once, not twice
_TRIES = 100

# struct loop_info64: device, inode, rdevice, offset, size limit; number, two of encryption, flags; name; …
_INFO = struct.Struct("<5Q4I64s64s32s2Q")
_INODE, _FLAGS = 1, 8


def attach(image: int, name: str) -> tuple[int, str]:
    """Attach an open image to a free device; return an open descriptor of the device, and its path."""
    info = _INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR | _DIRECT_IO, name.encode(), b"", b"", 0, 0)
    config = struct.pack("<II", image, BLOCK_BYTES) + info + bytes(64)
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            device, path = _open(fcntl.ioctl(control, _GET_FREE))
            try:
                fcntl.ioctl(device, _CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise
            else:
                return device, path
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no loop device is free")


def holder(image: int, name: str) -> tuple[int, str] | None:
    """Return the device that an image is attached to already, as `attach` does, or None."""
    for entry in _BLOCK_DEVICES.glob("loop*"):
        try:
            if Path((entry / "loop" / "backing_file").read_text().strip()).name != name:
                continue
            device, path = _open(int(entry.name.removeprefix("loop")))
        except FileNotFoundError:
            continue  # it was detached meanwhile
        try:
            status = bytearray(_INFO.size)
            fcntl.ioctl(device, _GET_STATUS, status)
            if _INFO.unpack(status)[_INODE] == os.fstat(image).st_ino:
                return device, path  # while it is open, it stays attached
        except OSError as error:
            if error.errno != errno.ENXIO:
                os.close(device)
                raise
        os.close(device)
    return None


def _open(number: int) -> tuple[int, str]:
    """Open a loop device by its number; in a container its node has to be made first."""
    path = f"/dev/loop{number}"
    if not Path(path).exists():
        major, minor = (_BLOCK_DEVICES / f"loop{number}" / "dev").read_text().split(":")
        with suppress(FileExistsError):
            os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(int(major), int(minor)))
    return os.open(path, os.O_RDWR | os.O_CLOEXEC), path
