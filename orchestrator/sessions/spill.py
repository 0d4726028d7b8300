"""Output too long to keep, on its way into files of the workspace (`outputs/…`)."""

import asyncio

from orchestrator.errors import BadPath, DiskFull
from orchestrator.limits import SPILL_FILE_BYTES, UPLOAD_CHUNK_BYTES
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath
from orchestrator.workspace.upload import Upload


class SpillFiles:
    """The overflow of one cell: taken in memory, written in a thread when enough has gathered."""

    def __init__(self, folder: SessionFolder, cell_id: str) -> None:
        self._folder = folder
        self._stem = f"outputs/cell-{cell_id[:8]}"
        self._waiting: dict[str, list[bytes]] = {}
        self._waiting_bytes = 0
        self._uploads: dict[str, Upload] = {}
        self._sizes: dict[str, int] = {}
        self._files = 0
        self._full: set[str] = set()
        self._unwritten: list[str] = []

    def add_text(self, stream: str, text: str) -> str:
        """Take printed text; return the path of its file."""
        return self._add(f"{self._stem}-{stream}.txt", text.encode())

    def add_file(self, ending: str, content: bytes) -> str:
        """Take one output; return the path of its file."""
        self._files += 1
        return self._add(f"{self._stem}-{self._files}.{ending}", content)

    def _add(self, path: str, content: bytes) -> str:
        size = self._sizes.get(path, 0)
        if size + len(content) > SPILL_FILE_BYTES:
            self._full.add(path)
        if path not in self._full:
            self._sizes[path] = size + len(content)
            self._waiting.setdefault(path, []).append(content)
            self._waiting_bytes += len(content)
        return path

    async def flush(self, *, least_bytes: int = UPLOAD_CHUNK_BYTES) -> None:
        """Write what has gathered, if it is at least this much."""
        if self._waiting and self._waiting_bytes >= least_bytes:
            waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
            await asyncio.to_thread(self._write, waiting)

    async def finish(self) -> list[str]:
        """Put all files in place and return what is to be said: files that could not be written whole."""
        await self.flush(least_bytes=0)
        if self._uploads:
            await asyncio.to_thread(self._put_in_place)
        told = [f"{path} is not whole: a limit of size or disk was reached." for path in sorted(self._full)]
        return told + [f"{path} could not be written: something else is in its way." for path in self._unwritten]

    async def discard(self) -> None:
        """Give up what was not finished; fine after `finish`."""
        if self._uploads:
            await asyncio.to_thread(self._close)

    def _write(self, waiting: dict[str, list[bytes]]) -> None:
        for path, chunks in waiting.items():
            try:
                if path not in self._uploads:
                    self._uploads[path] = self._folder.begin_upload(None)
                self._uploads[path].write(b"".join(chunks))
            except DiskFull:
                self._full.add(path)

    def _put_in_place(self) -> None:
        for path, upload in self._uploads.items():
            try:
                upload.finish(WorkspacePath.parse(path))
            except BadPath:
                self._unwritten.append(path)
            except DiskFull:
                self._full.add(path)
        self._close()

    def _close(self) -> None:
        while self._uploads:
            self._uploads.popitem()[1].close()
