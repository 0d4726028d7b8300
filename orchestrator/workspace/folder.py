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
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BadPath, DiskFull, FileMissing, SandboxUnavailable
from orchestrator.limits import LISTED_FILES, PATH_BYTES, PATH_PARTS, SCAN_ENTRIES
from orchestrator.workspace.descriptors import FILE_FLAGS, FOLDER_FLAGS
from orchestrator.workspace.names import WorkspacePath, is_plain_name
from orchestrator.workspace.removal import remove_folder
from orchestrator.workspace.usage import Usage, measure, of_file_system

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

# What pip installed in the sandbox, and variables of a session that sleeps: they take disk, but nobody looks for them.
_HIDDEN = (".python", ".glovebox")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file of a workspace: path, size in bytes, time of change in ns since the epoch."""

    path: str
    size: int
    changed_ns: int


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
        with _folder(self.run) as run:
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
        return sorted(self._scan(), key=lambda file: file.path)[:LISTED_FILES]

    def snapshot(self) -> dict[str, FoundFile]:
        """Return all regular files by path, to tell later what changed."""
        return {file.path: file for file in self._scan()}

    def usage(self) -> Usage:
        """Return what the workspace takes on disk."""
        try:
            with _folder(self.files / "workspace") as top:
                return of_file_system(top) if self.hard else measure(top)
        except FileNotFoundError:
            return Usage(0, 0, whole=True)

    def outgrew(self, earlier: Usage) -> bool:
        """Tell whether the workspace is over its limit and has grown since."""
        return self.usage().outgrew(earlier, self._disk_bytes)

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

    def begin_upload(self, expected_bytes: int | None) -> "Upload":
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

    def put_in_place(self, temporary: str, path: WorkspacePath) -> bool:
        """Rename a whole upload to its path, making folders as needed; return whether it replaced a file.

        Raises:
            DiskFull: there is no room for a folder.
            BadPath: a folder has that name, or a file stands where a folder should be.

        """
        try:
            with _folder(self.files / "incoming") as incoming, self._folder_of(path, make=True) as folder:
                replaced = _exists(path.name, folder)
                os.rename(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
                return replaced
        except OSError as error:
            if error.errno in _NO_ROOM:
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
            with _folder(self.files / "incoming") as incoming:
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

    def _scan(self) -> Iterator[FoundFile]:
        budget = [SCAN_ENTRIES]
        try:
            with _folder(self.files / "workspace") as top:
                yield from _files_beneath(top, "", PATH_PARTS, budget)
        except FileNotFoundError:
            return


class Upload:
    """A file on its way: written aside, then put in place whole, or discarded."""

    def __init__(self, folder: SessionFolder, ceiling: int, expected_bytes: int | None) -> None:
        self._folder = folder
        self._ceiling = ceiling
        self._charged = 0
        self._landed = False
        self._name = f"{uuid.uuid4().hex}.part"
        folder.charge(expected_bytes or 0, ceiling)  # a look ahead: charged is what comes
        folder.discharge(expected_bytes or 0, landed=False)
        with _folder(folder.files / "incoming") as incoming:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._descriptor = os.open(self._name, flags, mode=0o644, dir_fd=incoming)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise folder.full() from error
                raise

    def write(self, chunk: bytes | bytearray) -> None:
        """Add a chunk.

        Raises:
            DiskFull: the session's disk limit, or the host's disk, is reached.

        """
        self._folder.charge(len(chunk), self._ceiling)
        self._charged += len(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise self._folder.full() from error
            raise

    def finish(self, path: WorkspacePath) -> bool:
        """Put the whole file in place; return whether it replaced one. Raises as `put_in_place`."""
        os.fchmod(self._descriptor, 0o644)
        os.fchown(self._descriptor, self._folder.uid, self._folder.uid)
        replaced = self._folder.put_in_place(self._name, path)
        self._landed = True
        return replaced

    def close(self) -> None:
        """End the upload; what was not finished is removed."""
        os.close(self._descriptor)
        self._folder.discharge(self._charged, landed=self._landed)
        with suppress(FileNotFoundError):
            (self._folder.files / "incoming" / self._name).unlink()


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, FOLDER_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _files_beneath(folder: int, prefix: str, depth: int, budget: list[int]) -> Iterator[FoundFile]:
    """Yield regular files with names that can be shown; `budget` counts down the entries that are looked at."""
    with os.scandir(folder) as entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                return
            if not prefix and entry.name in _HIDDEN:
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
                        yield from _files_beneath(below, f"{prefix}{entry.name}/", depth - 1, budget)
                    finally:
                        os.close(below)
            except OSError:
                continue
