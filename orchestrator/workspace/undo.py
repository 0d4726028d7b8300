"""What uploads replaced, so that they can be taken back.

What an upload replaces gets a second name in `.glovebox/replaced/` of the workspace before the new file takes its
place: it is the session's own, takes of the session's disk, and goes, the oldest first, where that gets short. Which
of these names belongs to which path stands in the session's folder, out of the sandbox's reach: code in the sandbox
can change what comes back, as it can change each of its files, and not where to. All calls block.
"""

import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from orchestrator.errors import NotFound
from orchestrator.limits import UNDO_UPLOADS
from orchestrator.workspace.descriptors import NO_ROOM, opened_folder

_FOLDERS = (".glovebox", "replaced")
_BLOCK = 512  # the unit of st_blocks


class NothingToUndo(NotFound):
    """No upload to that path can be taken back."""

    code = "nothing_to_undo"
    title = "There is nothing to take back"


@dataclass(frozen=True, slots=True)
class _Landed:
    """An upload: its path, the inode that it came with, and the name of what it replaced, if it replaced a file."""

    path: str
    inode: int
    name: str
    kept: bool


class UndoLog:
    """The last uploads of one session, the oldest first."""

    def __init__(self, root: Path, workspace: Path, uid: int) -> None:
        self._list = root / "uploads.json"
        self._workspace = workspace
        self._uid = uid
        self._lock = threading.Lock()

    @contextmanager
    def replacing(self, path: str, name: str, folder: int, keep_as: str, inode: int) -> Iterator[None]:
        """Have what is done meanwhile, the landing of an upload, be one that can be taken back.

        An upload is never refused because of this: where a sandbox is in the way, it cannot be taken back.
        """
        with self._lock:
            entries = self._read()
            earlier, too_old = entries[1 - UNDO_UPLOADS :], entries[: 1 - UNDO_UPLOADS]
            for entry in too_old:
                self._drop(entry.name)
            there = _exists(name, folder)
            # Written down before it is there: a crash in between leaves nothing that nobody knows of.
            self._write([*earlier, _Landed(path, inode, keep_as, there)])
            try:
                if there and not self._keep(name, folder, keep_as):
                    self._write(earlier)
                yield
            except BaseException:
                self._drop(keep_as)
                self._write(earlier)
                raise

    def knows(self, path: str) -> bool:
        """Tell whether an upload to that path is among the last ones."""
        with self._lock:
            return any(entry.path == path for entry in self._read())

    def take_back(self, path: str, name: str, folder: int) -> None:
        """Undo the last upload to a path: put back what it replaced, or remove it where it replaced nothing.

        Raises:
            NothingToUndo: there is none, or what it replaced is gone, or other code has put another file there.
            OSError: a folder stands there now.

        """
        with self._lock:
            entries = self._read()
            last = next((entry for entry in reversed(entries) if entry.path == path), None)
            done = False
            if last is not None:
                done = self._put_back(last.name, name, folder) if last.kept else _remove(name, folder, last)
                self._write([entry for entry in entries if entry is not last])
            if not done:
                raise NothingToUndo(f"The file that was uploaded to {path!r}, or what it replaced, is not there.")

    def forget_oldest(self, but: str | None = None) -> int | None:
        """Remove what the oldest of the uploads replaced; return the bytes freed, or None where nothing is left."""
        with self._lock:
            entries = self._read()
            for entry in entries:
                if entry.kept and entry.name != but:
                    freed = self._drop(entry.name)
                    self._write([one for one in entries if one is not entry])
                    return freed
            return None

    def forget_all(self) -> bool:
        """Remove all that uploads replaced; tell whether there was anything."""
        forgotten = False
        while self.forget_oldest() is not None:
            forgotten = True
        return forgotten

    def moved(self, path: str, to: str) -> None:
        """Note that a file, or the folder that it is in, has another path now."""
        with self._lock:
            entries = self._read()
            after = [_at(entry, path, to) for entry in entries]
            if after != entries:
                self._write(after)

    def _keep(self, name: str, folder: int, keep_as: str) -> bool:
        try:
            with self._replaced(make=True) as aside:
                os.link(name, keep_as, src_dir_fd=folder, dst_dir_fd=aside, follow_symlinks=False)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            return False  # a folder, which no upload replaces, or something that a sandbox put in the way
        return True

    def _put_back(self, kept: str, name: str, folder: int) -> bool:
        try:
            with self._replaced() as aside:
                os.rename(kept, name, src_dir_fd=aside, dst_dir_fd=folder)
                with suppress(FileNotFoundError):  # two names of one file stay two: the upload never landed
                    os.unlink(kept, dir_fd=aside)
        except FileNotFoundError:
            return False
        return True

    def _drop(self, kept: str) -> int:
        """Remove what was kept, whatever a sandbox made of it; return the bytes that this freed."""
        with suppress(OSError), self._replaced() as aside:
            about = os.stat(kept, dir_fd=aside, follow_symlinks=False)
            os.unlink(kept, dir_fd=aside)
            return about.st_blocks * _BLOCK if about.st_nlink == 1 else 0
        return 0

    @contextmanager
    def _replaced(self, *, make: bool = False) -> Iterator[int]:
        """Yield a descriptor of the folder of what was replaced, opened part by part."""
        with opened_folder(self._workspace) as top, self._within(top, 0, make=make) as own:  # noqa: SIM117
            with self._within(own, 1, make=make) as aside:
                yield aside

    @contextmanager
    def _within(self, above: int, level: int, *, make: bool) -> Iterator[int]:
        made = False
        if make:
            with suppress(FileExistsError):
                os.mkdir(_FOLDERS[level], mode=0o700, dir_fd=above)
                made = True
        with opened_folder(_FOLDERS[level], above) as folder:
            if made:
                os.fchown(folder, self._uid, self._uid)
            yield folder

    def _read(self) -> list[_Landed]:
        try:
            return [_Landed(**entry) for entry in json.loads(self._list.read_text())]
        except (FileNotFoundError, ValueError, TypeError):  # none yet; or the disk lost power while it was written
            return []

    def _write(self, entries: list[_Landed]) -> None:
        unfinished = self._list.with_suffix(".new")
        unfinished.write_text(json.dumps([asdict(entry) for entry in entries]))
        unfinished.replace(self._list)


def _at(entry: _Landed, path: str, to: str) -> _Landed:
    if entry.path == path or entry.path.startswith(f"{path}/"):
        return replace(entry, path=to + entry.path[len(path) :])
    return entry


def _remove(name: str, folder: int, landed: _Landed) -> bool:
    """Remove an upload that replaced nothing; not what other code has put in its place since."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if about.st_ino != landed.inode or not stat.S_ISREG(about.st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
