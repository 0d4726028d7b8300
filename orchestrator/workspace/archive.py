"""A workspace as one zip, written as it is read: no copy on disk, and never more than a chunk in memory.

Only written here, never read: what is in a zip is for whoever unpacks it elsewhere.
"""

import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import PurePosixPath

from orchestrator.errors import BadPath, FileMissing
from orchestrator.limits import ARCHIVE_CHUNK_BYTES, DOWNLOAD_CHUNK_BYTES
from orchestrator.workspace.folder import FoundFile, SessionFolder
from orchestrator.workspace.names import WorkspacePath

NOT_ALL = "NOT ALL FILES ARE HERE.txt"
_WHY_NOT_ALL = "The workspace has more files than one archive takes. Delete or pack some of them, and download again.\n"
# Packed already, so that packing them again only takes time.
_PACKED = frozenset(
    {"7z", "bz2", "docx", "feather", "gif", "gz", "jpeg", "jpg", "mkv", "mov", "mp3", "mp4", "npz", "ods", "odt"}
    | {"ogg", "parquet", "png", "pptx", "rar", "webm", "webp", "xlsx", "xz", "zip", "zst"}
)
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # that a zip can name


def zipped(folder: SessionFolder) -> Iterator[bytes]:
    """Yield a zip of all files that can be listed. Blocks.

    A file that goes away meanwhile is left out; one that grows is there as long as it was when it was opened, one that
    shrinks as far as it could be read.
    """
    written = _Written()
    files, whole = folder.all_files()
    with zipfile.ZipFile(written, "w") as archive:
        for found in files:
            try:
                descriptor = folder.open(WorkspacePath.parse(found.path))
            except (FileMissing, BadPath):
                continue
            with open(descriptor, "rb", buffering=0) as file:
                yield from _packed(archive, written, found, file.fileno())
        if not whole:
            archive.writestr(NOT_ALL, _WHY_NOT_ALL)
    yield written.take()


def _packed(archive: zipfile.ZipFile, written: "_Written", found: FoundFile, descriptor: int) -> Iterator[bytes]:
    about = os.fstat(descriptor)
    entry = zipfile.ZipInfo(_name(found.path), _zip_time(about.st_mtime))
    entry.external_attr = 0o100644 << 16
    entry.file_size = left = about.st_size  # decides whether it needs the long form of sizes
    if PurePosixPath(found.path).suffix[1:].lower() not in _PACKED:
        entry.compress_type = zipfile.ZIP_DEFLATED
        setattr(entry, "_compresslevel", 1)  # noqa: B010 - Python 3.13 has a public name for it, 3.11 has not
    with closing(archive.open(entry, "w")) as packing:
        while left > 0:
            chunk = _read(descriptor, min(DOWNLOAD_CHUNK_BYTES, left))
            if not chunk:
                break
            left -= len(chunk)
            packing.write(chunk)
            if written.size >= ARCHIVE_CHUNK_BYTES:
                yield written.take()


def _read(descriptor: int, most: int) -> bytes:
    try:
        return os.read(descriptor, most)
    except OSError:  # a disk that is broken or went away: the rest of the archive is still worth having
        return b""


def _name(path: str) -> str:
    """Return a path as no system takes it for one of a drive (`C:/…`)."""
    return path[0] + "_" + path[2:] if path[1:2] == ":" else path


def _zip_time(seconds: float) -> tuple[int, int, int, int, int, int]:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a sandbox may set any time
        return (_FIRST_YEAR, 1, 1, 0, 0, 0)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        return (_FIRST_YEAR, 1, 1, 0, 0, 0)
    return (at.year, at.month, at.day, at.hour, at.minute, at.second)


class _Written:
    """What the zip's writer has put out and nobody has taken yet: a file that only goes forward."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: it is taken from here."""

    def close(self) -> None:
        """Do nothing either."""

    def take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        self.size = 0
        return taken
