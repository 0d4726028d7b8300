"""Pictures and HTML outputs as files, each kept once under the hash of its bytes: the chat carries only names."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile
from pathlib import Path

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}
# Shown by documents around them (frames.py), never served as they are.
FRAMED = frozenset({"html", "plotly", "table", "vega"})
# Served as what it is, to be shown by the browser's own viewer.
PAPER = "pdf"
BUDGET_BYTES = 512 * 1024 * 1024

_NAME = re.compile(r"[0-9a-f]{64}\.(?:" + "|".join([*MEDIA_TYPES, *FRAMED, PAPER]) + ")")
_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = (
    (_PNG, "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)


def picture_kind(content: bytes) -> str | None:
    """Return what kind of picture the bytes are, by their beginning, whatever they claim to be."""
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Return a PNG's width and height, out of its header."""
    if not content.startswith(_PNG) or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return (width, height) if width and height else None


class Shelf:
    """A folder of files by the hash of their content; the longest unused go first when it is full."""

    def __init__(self, folder: Path, budget: int = BUDGET_BYTES) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._budget = budget
        self._used = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())

    def put(self, content: bytes, kind: str) -> str:
        """Keep the content and return its name."""
        name = f"{hashlib.sha256(content).hexdigest()}.{kind}"
        path = self._folder / name
        if path.exists():
            os.utime(path)
            return name
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="new-", delete=False) as new:
            new.write(content)
        Path(new.name).replace(path)
        self._used += len(content)
        if self._used > self._budget:
            self._make_room(keep=path)
        return name

    def find(self, name: str) -> Path | None:
        """Return the file of that name, if it is (still) there."""
        if not _NAME.fullmatch(name):
            return None
        path = self._folder / name
        return path if path.is_file() else None

    def _make_room(self, keep: Path) -> None:
        oldest_first = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
        self._used = sum(path.stat().st_size for path in oldest_first)
        # A fifth more than needed, so that not every further picture sorts the folder again.
        for path in oldest_first:
            if self._used <= self._budget * 4 // 5:
                return
            if path != keep:
                self._used -= path.stat().st_size
                path.unlink(missing_ok=True)
