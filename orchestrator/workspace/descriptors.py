"""How things that a sandbox may have made are opened and renamed: by descriptor, never through a link (THREATS G10)."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe must not wait for its writer.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_RENAME_NOREPLACE = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened_folder(path: str | Path, within: int | None = None) -> Iterator[int]:
    """Yield a descriptor of a folder; `within` is one of the folder that the path begins in."""
    descriptor = os.open(path, FOLDER_FLAGS, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def renamed_if_free(name: str, folder: int, to: str, to_folder: int) -> None:
    """Rename, unless something has the new name: both in one step of the kernel's (renameat2(2)).

    Raises:
        OSError: FileExistsError where something has that name.

    """
    if _LIBC.renameat2(folder, os.fsencode(name), to_folder, os.fsencode(to), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), to)
