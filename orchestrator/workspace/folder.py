"""One session's folder: `workspace/` (the sandbox's files), `incoming/` (uploads on their way), `run/` (the socket).

With a hard disk the first two lie in `disk/`, where the disks service mounts it and makes them; nothing here makes them
in its place, so that without it there is no workspace at all.

All calls block; services call them in threads. The sandbox may change its workspace while we look at it, so each
part of a path is opened by descriptor with O_NOFOLLOW, and what was opened is checked, not what was named (THREATS
G10, G11).
"""

import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.errors import BadPath, Conflict, DiskFull, FileMissing, SandboxUnavailable
from orchestrator.limits import LISTED_FILES, SCAN_ENTRIES, UNDO_UPLOADS
from orchestrator.workspace.descriptors import FILE_FLAGS, FOLDER_FLAGS, NO_ROOM, opened_folder, renamed_if_free
from orchestrator.workspace.glances import Glances
from orchestrator.workspace.names import HIDDEN, WorkspacePath
from orchestrator.workspace.removal import remove_beneath, remove_folder
from orchestrator.workspace.undo import NothingToUndo, UndoLog
from orchestrator.workspace.upload import Upload
from orchestrator.workspace.usage import Usage
from orchestrator.workspace.walk import FoundFile as FoundFile


class SessionFolder:
    """The folder of one session beneath the data folder."""

    def __init__(self, root: Path, uid: int, disk_bytes: int, *, hard: bool = False) -> None:
        self.root = root
        self.uid = uid
        self.hard = hard
        self.files = root / "disk" if hard else root
        self._disk_bytes = disk_bytes
        self._counting = threading.Lock()
        self._on_the_way = 0  # bytes of uploads that have not ended
        self._landed = 0  # bytes of all uploads that were put in place
        self.glances = Glances(self.files / "workspace", hard=hard)
        self.undo = UndoLog(root, self.files / "workspace", uid)

    @property
    def run(self) -> Path:
        """The folder that is shared with the sandbox for its socket."""
        return self.root / "run"

    def make(self) -> None:
        """Make the folders; those that are there stay as they are."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.hard:
            (self.root / "incoming").mkdir(mode=0o700, exist_ok=True)
        for name in ("run",) if self.hard else ("workspace", "run"):
            with suppress(FileExistsError):
                (self.root / name).mkdir(mode=0o700)
            if (self.root / name).lstat().st_uid != self.uid:  # new, or a crash came between making and giving it
                os.chown(self.root / name, self.uid, self.uid, follow_symlinks=False)

    def leave_gateway_settings(self, token: str, kernel_id: str) -> None:
        """Put the settings of the gateway that is about to start where it looks for them, and remove its old socket."""
        with opened_folder(self.run) as run:
            for name in ("gateway.json", "gw.sock"):
                try:
                    os.unlink(name, dir_fd=run)
                except FileNotFoundError:
                    continue
                except IsADirectoryError:
                    remove_folder(self.run / name, self.root / "trash")
            content = json.dumps({"token": token, "kernel_id": kernel_id}).encode()
            descriptor = os.open("gateway.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600, dir_fd=run)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchown(descriptor, self.uid, self.uid)

    def note_connection(self, session: str) -> None:
        """Keep the name of the connection to the gateway for a later process. The sandbox does not see it."""
        unfinished = self.root / "connection.new"
        unfinished.write_text(session)
        unfinished.replace(self.root / "connection")

    def last_connection(self) -> str | None:
        """Return the name of the last connection to the gateway, if there was one."""
        with suppress(FileNotFoundError):
            return (self.root / "connection").read_text()
        return None

    def list_files(self) -> list[FoundFile]:
        """Return the regular files, sorted by path, at most LISTED_FILES."""
        return sorted(self.glances.scan([SCAN_ENTRIES]), key=lambda file: file.path)[:LISTED_FILES]

    def all_files(self) -> tuple[list[FoundFile], bool]:
        """Return the regular files, sorted by path, and whether these are all: what is looked at ends somewhere."""
        budget = [SCAN_ENTRIES]
        found = sorted(self.glances.scan(budget), key=lambda file: file.path)
        return found, budget[0] >= 0

    def snapshot(self) -> dict[str, FoundFile]:
        """Return all regular files by path, to tell later what changed."""
        return self.glances.all_files()

    def usage(self) -> Usage:
        """Return what the workspace takes on disk."""
        return self.glances.usage()

    def outgrew(self, earlier: Usage) -> bool:
        """Tell whether the workspace is over its limit and has grown since; what uploads replaced goes first."""
        if not self.usage().outgrew(earlier, self._disk_bytes):
            return False
        return not self.undo.forget_all() or self.usage().outgrew(earlier, self._disk_bytes)

    @contextmanager
    def opened(self, path: WorkspacePath) -> Iterator[int]:
        """Yield a descriptor of a regular file.

        Raises:
            FileMissing: nothing is there, or it is a folder, a link or something stranger.

        """
        descriptor = self.open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open(self, path: WorkspacePath) -> int:
        """Open a regular file for reading and return its descriptor, which the caller closes. Raises as `opened`."""
        try:
            with self._folder_of(path) as folder:
                descriptor = os.open(path.name, FILE_FLAGS, dir_fd=folder)
        except OSError as error:
            raise FileMissing(f"The workspace has no file {str(path)!r}.") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileMissing(f"{str(path)!r} is no regular file.")
        return descriptor

    def delete(self, path: WorkspacePath) -> None:
        """Delete a file, or a folder that is empty.

        Raises:
            FileMissing: nothing is there.
            BadPath: it is a folder with files in it.

        """
        try:
            with self._folder_of(path) as folder:
                try:
                    os.unlink(path.name, dir_fd=folder)
                except IsADirectoryError:
                    os.rmdir(path.name, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise BadPath(f"{str(path)!r} is a folder with files in it; delete those first.") from error
            raise FileMissing(f"The workspace has no file {str(path)!r}.") from error

    def delete_all(self, path: WorkspacePath) -> None:
        """Delete a file, or a folder with what is in it.

        Raises:
            FileMissing: nothing is there.
            Conflict: the folder has too much in it for one call, or is being written to; some of it is gone.
            BadPath: what lies there is kept by Glovebox.

        """
        if path.parts[0] in HIDDEN:
            self.delete(path)
            return
        try:
            with self._folder_of(path) as folder:
                if not remove_beneath(path.name, folder):
                    detail = f"{str(path)!r} has more in it than one call deletes, or is written to; delete it again."
                    raise Conflict(detail, code="folder_not_empty")
        except OSError as error:
            raise FileMissing(f"The workspace has no file {str(path)!r}.") from error

    def rename(self, path: WorkspacePath, to: WorkspacePath) -> FoundFile:
        """Give a file or a folder another path, making folders as needed, and return it there.

        Raises:
            FileMissing: nothing is there, or it is a link or something stranger.
            Conflict: something is at the new path.
            BadPath: a file stands where a folder should be, or a folder would come to lie in itself.
            DiskFull: there is no room for a folder.

        """
        if path.parts[0] in HIDDEN:
            raise FileMissing(f"The workspace has no file {str(path)!r}.")
        if to.parts[: len(path.parts)] == path.parts and to != path:
            raise BadPath(f"{str(path)!r} cannot come to lie in itself.")
        try:
            with self._folder_of(path) as source:
                found = os.stat(path.name, dir_fd=source, follow_symlinks=False)
                if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
                    raise FileMissing(f"{str(path)!r} is no regular file.")
                self._move(path, source, to)
        except OSError as error:
            raise FileMissing(f"The workspace has no file {str(path)!r}.") from error
        self.undo.moved(str(path), str(to))
        return FoundFile(str(to), found.st_size if stat.S_ISREG(found.st_mode) else 0, found.st_mtime_ns)

    def _move(self, path: WorkspacePath, source: int, to: WorkspacePath) -> None:
        try:
            with self._folder_of(to, make=True) as target:
                renamed_if_free(path.name, source, to.name, target)
        except FileExistsError as error:
            detail = f"{str(to)!r} is there already; delete it first, or choose another name."
            raise Conflict(detail, code="file_exists", title="A file of that name is there") from error
        except OSError as error:
            if error.errno in NO_ROOM:
                raise self.full() from error
            raise BadPath(f"{str(path)!r} cannot be renamed to {str(to)!r}: {error.strerror}.") from error

    def undo_upload(self, path: WorkspacePath) -> None:
        """Take back the last upload to a path: what it replaced is there again.

        Raises:
            NothingToUndo: no upload to it is known, or what it replaced is gone.
            BadPath: something that is no file stands there now.

        """
        if not self.undo.knows(str(path)):
            raise NothingToUndo(f"No upload to {str(path)!r} is known; the last {UNDO_UPLOADS} of a session are.")
        try:
            with self._folder_of(path, make=True) as folder:
                self.undo.take_back(str(path), path.name, folder)
        except OSError as error:
            raise BadPath(f"{str(path)!r} cannot be written: {error.strerror}.") from error

    def begin_upload(self, expected_bytes: int | None) -> Upload:
        """Begin a file that becomes visible only when it is whole.

        Raises:
            DiskFull: the session's disk limit has no room for `expected_bytes`.
            SandboxUnavailable: its hard disk is not mounted.

        """
        if self.hard:
            with self._counting:  # what is on its way lies on the same disk, so it is not free any more
                ceiling = self._free() + self._landed + self._on_the_way
            return Upload(self, ceiling, expected_bytes)
        landed = self._landed
        usage = self.usage()
        room = self._disk_bytes - usage.disk_bytes if usage.whole else 0
        return Upload(self, room + landed, expected_bytes)

    def charge(self, count: int, ceiling: int) -> None:
        """Count bytes of an upload before they are written; `ceiling` is the most that uploads may come to by then.

        Raises:
            DiskFull: all uploads since then, those that have landed included, would be more.

        """
        with self._counting:
            room = ceiling - self._landed - self._on_the_way
            if count > room:
                left = max(room, 0) // 2**20
                raise DiskFull(f"The session's disk limit leaves {left:,} MiB; delete files or use a larger profile.")
            self._on_the_way += count

    def discharge(self, count: int, *, landed: bool) -> None:
        """Say that an upload of so many bytes has ended."""
        with self._counting:
            self._on_the_way -= count
            self._landed += count if landed else 0

    def leave_room(self, ceiling: int, keep: str) -> int:
        """Forget what earlier uploads replaced while less than a quarter of the disk is free; return what that freed.

        What the latest one replaced, under the name `keep`, stays.
        """
        freed = 0
        while ceiling + freed - self._landed - self._on_the_way < self._disk_bytes // 4:
            more = self.undo.forget_oldest(keep)
            if more is None:
                break
            freed += more
        return freed

    def put_in_place(self, temporary: str, path: WorkspacePath, *, undo_as: str | None = None) -> bool:
        """Rename a whole upload to its path, making folders as needed; return whether it replaced a file.

        With `undo_as` it can be taken back: what it replaces is kept under that name.

        Raises:
            DiskFull: there is no room for a folder.
            BadPath: a folder has that name, or a file stands where a folder should be.

        """
        try:
            with opened_folder(self.files / "incoming") as incoming, self._folder_of(path, make=True) as folder:
                replaced = _exists(path.name, folder)
                if undo_as is None:
                    os.rename(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
                else:
                    about = os.stat(temporary, dir_fd=incoming, follow_symlinks=False)
                    with self.undo.replacing(str(path), path.name, folder, undo_as, about.st_ino):
                        os.rename(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
                return replaced
        except OSError as error:
            if error.errno in NO_ROOM:
                raise self.full() from error
            raise BadPath(f"{str(path)!r} cannot be written: {error.strerror}.") from error

    def full(self) -> DiskFull:
        """Return what to tell when the kernel says that there is no room."""
        if self.hard:
            return DiskFull("The session's disk limit is reached; delete files or use a larger profile.")
        return DiskFull("The host's disk is full; ask whoever runs this Glovebox.")

    def _free(self) -> int:
        """Return how many bytes a hard disk has room for."""
        try:
            with opened_folder(self.files / "incoming") as incoming:
                about = os.fstatvfs(incoming)
        except FileNotFoundError as error:
            raise SandboxUnavailable("The session's disk is not there; try again.", code="disk_unavailable") from error
        return about.f_bavail * about.f_frsize

    @contextmanager
    def _folder_of(self, path: WorkspacePath, *, make: bool = False) -> Iterator[int]:
        """Yield a descriptor of the folder that a path's last name is in, opened part by part."""
        current = os.open(self.files / "workspace", FOLDER_FLAGS)
        try:
            for part in path.parts[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, mode=0o755, dir_fd=current)
                        made = os.open(part, FOLDER_FLAGS, dir_fd=current)
                        os.fchown(made, self.uid, self.uid)
                        os.close(made)
                below = os.open(part, FOLDER_FLAGS, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
