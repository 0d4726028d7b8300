"""Walking a workspace: regular files with names that can be shown, each folder opened by descriptor."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.limits import PATH_BYTES
from orchestrator.workspace.descriptors import FOLDER_FLAGS
from orchestrator.workspace.names import HIDDEN, is_plain_name


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file of a workspace: path, size in bytes, time of change in ns since the epoch."""

    path: str
    size: int
    changed_ns: int


def files_beneath(folder: int, prefix: str, depth: int, budget: list[int]) -> Iterator[FoundFile]:
    """Yield regular files with names that can be shown; `budget` counts down the entries that are looked at."""
    with os.scandir(folder) as entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                return
            if not prefix and entry.name in HIDDEN:
                continue
            if not is_plain_name(entry.name) or len(f"{prefix}{entry.name}".encode()) > PATH_BYTES:
                continue
            try:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield FoundFile(prefix + entry.name, found.st_size, found.st_mtime_ns)
                elif stat.S_ISDIR(found.st_mode) and depth > 1:
                    below = os.open(entry.name, FOLDER_FLAGS, dir_fd=folder)
                    try:
                        yield from files_beneath(below, f"{prefix}{entry.name}/", depth - 1, budget)
                    finally:
                        os.close(below)
            except OSError:
                continue
