"""A file on its way into a workspace: written aside, then put in place whole, or discarded. All calls block."""

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from orchestrator.errors import DiskFull
from orchestrator.workspace.descriptors import NO_ROOM, opened_folder
from orchestrator.workspace.names import WorkspacePath
from orchestrator.workspace.undo import UndoLog


class Destination(Protocol):
    """What an upload needs of the session's folder."""

    files: Path
    uid: int
    undo: UndoLog

    def charge(self, count: int, ceiling: int) -> None:
        """Count bytes before they are written. Raises DiskFull."""

    def discharge(self, count: int, *, landed: bool) -> None:
        """Say that an upload of so many bytes has ended."""

    def put_in_place(self, temporary: str, path: WorkspacePath, *, undo_as: str | None = None) -> bool:
        """Rename a whole upload to its path; return whether it replaced a file."""

    def leave_room(self, ceiling: int, keep: str) -> int:
        """Forget what earlier uploads replaced where room is short; return the bytes that this freed."""

    def full(self) -> DiskFull:
        """Return what to tell when the kernel says that there is no room."""


class Upload:
    """A file on its way."""

    def __init__(self, folder: Destination, ceiling: int, expected_bytes: int | None) -> None:
        self._folder = folder
        self._ceiling = ceiling
        self._charged = 0
        self._landed = False
        self._name = f"{uuid.uuid4().hex}.part"
        self._charge(expected_bytes or 0)  # a look ahead: charged is what comes
        folder.discharge(expected_bytes or 0, landed=False)
        with opened_folder(folder.files / "incoming") as incoming:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._descriptor = os.open(self._name, flags, mode=0o644, dir_fd=incoming)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise folder.full() from error
                raise

    def write(self, chunk: bytes | bytearray) -> None:
        """Add a chunk.

        Raises:
            DiskFull: the session's disk limit, or the host's disk, is reached.

        """
        self._charge(len(chunk))
        self._charged += len(chunk)
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                if self._folder.undo.forget_oldest() is None:
                    raise self._folder.full() from error

    def finish(self, path: WorkspacePath, *, undoable: bool = False) -> bool:
        """Put the whole file in place; return whether it replaced one. Raises as `put_in_place`."""
        os.fchmod(self._descriptor, 0o644)
        os.fchown(self._descriptor, self._folder.uid, self._folder.uid)
        undo_as = uuid.uuid4().hex if undoable else None
        replaced = self._folder.put_in_place(self._name, path, undo_as=undo_as)
        self._landed = True
        if undo_as is not None:
            self._ceiling += self._folder.leave_room(self._ceiling, undo_as)
        return replaced

    def close(self) -> None:
        """End the upload; what was not finished is removed."""
        os.close(self._descriptor)
        self._folder.discharge(self._charged, landed=self._landed)
        with suppress(FileNotFoundError):
            (self._folder.files / "incoming" / self._name).unlink()

    def _charge(self, count: int) -> None:
        """Count bytes; where there is no room for them, what earlier uploads replaced goes, the oldest first."""
        while True:
            try:
                self._folder.charge(count, self._ceiling)
            except DiskFull:
                freed = self._folder.undo.forget_oldest()
                if freed is None:
                    raise
                self._ceiling += freed
            else:
                return
