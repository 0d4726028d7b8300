"""How much of the disk a workspace takes: everything in it, whatever its name, kind or depth, within a budget."""

import os
import stat
from dataclasses import dataclass

from orchestrator.limits import USAGE_DEPTH, USAGE_ENTRIES
from orchestrator.workspace.descriptors import FOLDER_FLAGS

_BLOCK = 512  # the unit of st_blocks, whatever the file system's own is (stat(2))


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on disk and number of entries; not `whole` when there were too many entries or they lie too deep."""

    disk_bytes: int
    entries: int
    whole: bool

    def outgrew(self, earlier: "Usage", limit_bytes: int) -> bool:
        """Tell whether this is over the limit, and over what was there before: deleting is allowed beyond it."""
        if not self.whole:
            return True  # what cannot be counted is not allowed; deleting is quicker than the watch
        return self.disk_bytes > max(limit_bytes, earlier.disk_bytes)


def measure(folder: int, most_entries: int | None = None) -> Usage:
    """Count what lies beneath an open folder, without following links. Blocks."""
    count = _Count(USAGE_ENTRIES if most_entries is None else most_entries)
    count.beneath(folder, USAGE_DEPTH)
    return Usage(count.disk_bytes, count.entries, count.whole)


def of_file_system(folder: int) -> Usage:
    """Return what is taken of the file system that an open folder is on; it costs the same however much that is."""
    about = os.fstatvfs(folder)
    return Usage((about.f_blocks - about.f_bfree) * about.f_frsize, about.f_files - about.f_ffree, whole=True)


class _Count:
    """The running total; one descriptor is open for each level, and levels are few."""

    def __init__(self, most_entries: int) -> None:
        self._most_entries = most_entries
        self.disk_bytes = 0
        self.entries = 0
        self.whole = True
        self._with_several_names: set[tuple[int, int]] = set()

    def beneath(self, folder: int, levels: int) -> None:
        if levels == 0:
            self.whole = False
            return
        with os.scandir(folder) as found:
            for entry in found:
                self.entries += 1
                if self.entries > self._most_entries:
                    self.whole = False
                    return
                try:
                    self._add(entry, folder, levels)
                except FileNotFoundError:
                    continue  # it went away while we looked

    def _add(self, entry: os.DirEntry[str], folder: int, levels: int) -> None:
        about = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(about.st_mode):
            try:
                below = os.open(entry.name, FOLDER_FLAGS, dir_fd=folder)
            except NotADirectoryError:
                return  # it was replaced while we looked
            try:
                self.beneath(below, levels - 1)
            finally:
                os.close(below)
        elif about.st_nlink > 1:  # a file with several names takes its space once
            if (about.st_dev, about.st_ino) in self._with_several_names:
                return
            self._with_several_names.add((about.st_dev, about.st_ino))
        self.disk_bytes += about.st_blocks * _BLOCK
