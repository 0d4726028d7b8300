"""Looking at a whole workspace before and after each cell: a small one in place, a large one in a thread.

The way to a thread and back costs a cell more than looking at a few files does. What is looked at in place has few
entries, lies in a plain folder, and was quick to look at the last time; anything else goes the long way.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from orchestrator.limits import FEW_FILES, GLANCE_ENTRIES, GLANCE_S, NO_GLANCE_S, PATH_PARTS, SCAN_ENTRIES
from orchestrator.workspace.descriptors import opened_folder
from orchestrator.workspace.usage import Usage, measure, of_file_system
from orchestrator.workspace.walk import FoundFile, files_beneath

Files = dict[str, FoundFile]
_Seen = TypeVar("_Seen")


class Glances:
    """The looks at one workspace, which may not be there (yet)."""

    def __init__(self, workspace: Path, *, hard: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace = str(workspace)  # a Path is made into one with every look
        self._hard = hard
        self._clock = clock
        self._slow_until = 0.0

    async def files(self) -> Files:
        """Return all regular files by path, to tell later what changed."""
        glanced = self._glance(self._few_files)
        return glanced if glanced is not None else await asyncio.to_thread(self.all_files)

    async def files_and_usage(self) -> tuple[Files, Usage | None]:
        """Return the files, and what they take where they are few: the many are better counted beside the cell."""
        glanced = self._glance(self._few_files_and_usage)
        return glanced if glanced is not None else await asyncio.to_thread(self._look)

    def all_files(self) -> Files:
        """Return all regular files by path. Blocks."""
        return {file.path: file for file in self.scan([SCAN_ENTRIES])}

    def scan(self, budget: list[int]) -> Iterator[FoundFile]:
        """Yield the regular files; `budget` counts down the entries that are looked at. Blocks."""
        try:
            with opened_folder(self._workspace) as top:
                yield from files_beneath(top, "", PATH_PARTS, budget)
        except FileNotFoundError:
            return

    def usage(self, most_entries: int | None = None) -> Usage:
        """Return what the workspace takes on disk. Blocks."""
        try:
            with opened_folder(self._workspace) as top:
                return of_file_system(top) if self._hard else measure(top, most_entries)
        except FileNotFoundError:
            return Usage(0, 0, whole=True)

    def _look(self) -> tuple[Files, Usage | None]:
        files = self.all_files()
        return files, self.usage() if len(files) < FEW_FILES else None

    def _glance(self, look: Callable[[], _Seen | None]) -> _Seen | None:
        """Look in place, and return None where that is not for this workspace."""
        began = self._clock()
        if self._hard or began < self._slow_until:
            return None
        seen = look()
        if seen is None or self._clock() - began > GLANCE_S:
            self._slow_until = self._clock() + NO_GLANCE_S
        return seen

    def _few_files(self) -> Files | None:
        budget = [GLANCE_ENTRIES]
        files = {file.path: file for file in self.scan(budget)}
        return files if budget[0] >= 0 else None

    def _few_files_and_usage(self) -> tuple[Files, Usage] | None:
        files = self._few_files()
        if files is None:
            return None
        usage = self.usage(GLANCE_ENTRIES)
        return (files, usage) if usage.whole else None
