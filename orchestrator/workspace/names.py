"""Paths of workspace files as people give them, and what may be made of them. No I/O."""

import mimetypes
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import quote

from orchestrator.errors import BadPath
from orchestrator.limits import PATH_BYTES, PATH_PARTS

_PART_BYTES = 255
_BIDI = frozenset("\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_NO_NAME_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, surrogates, line breaks of Unicode
_FORBIDDEN_IN_NAMES = '/\\:*?"<>|'
# What pip installed in the sandbox; variables of a session that sleeps, and what uploads replaced: all take disk, but
# nobody looks for them.
HIDDEN = (".python", ".glovebox")
# A fixed map: what the host has in its own table must not decide what a browser is told.
_MIME_TYPES = mimetypes.MimeTypes(filenames=())
_MIME_TYPES.add_type("application/x-ipynb+json", ".ipynb")
_MIME_TYPES.add_type("application/vnd.apache.parquet", ".parquet")
_MIME_TYPES.add_type("text/markdown", ".md")


@dataclass(frozen=True, slots=True)
class WorkspacePath:
    """A path beneath a workspace's root: one or more plain names."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a path given by a client.

        Raises:
            BadPath: it is empty, absolute, goes up, is too long, or has characters that a name may not have.

        """
        parts = tuple(text.split("/"))
        if len(text.encode("utf-8", "surrogatepass")) > PATH_BYTES or len(parts) > PATH_PARTS:
            raise BadPath(f"The path is too long: at most {PATH_BYTES} bytes in {PATH_PARTS} folders.")
        for part in parts:
            _check_part(part)
        return cls(parts)

    @classmethod
    def parse_new(cls, text: str) -> Self:
        """Check the path of a file that is to be made: as `parse`, and no name may begin with a dot."""
        path = cls.parse(text)
        if any(part.startswith(".") for part in path.parts):
            raise BadPath("A name that begins with a dot cannot be uploaded; rename the file.")
        return path

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    def __str__(self) -> str:
        return "/".join(self.parts)


def _check_part(part: str) -> None:
    if part == "":
        raise BadPath("The path has an empty name in it (it begins or ends with '/', or has '//').")
    if part in (".", ".."):
        raise BadPath("The path must not have '.' or '..' in it: files live beneath the workspace.")
    if len(part.encode("utf-8", "surrogatepass")) > _PART_BYTES:
        raise BadPath(f"A name is longer than {_PART_BYTES} bytes.")
    for character in part:
        if unicodedata.category(character) in _NO_NAME_CATEGORIES or character in _BIDI or character == "\\":
            raise BadPath(
                f"The name has a character that cannot be used ({character!a}): "
                "no line breaks, control characters, backslashes or text-direction marks."
            )


def is_plain_name(name: str) -> bool:
    """Tell whether a name found on disk can be shown and asked for again."""
    try:
        _check_part(name)
    except BadPath:
        return False
    return True


def mime_type(name: str) -> str:
    """Return the mime type that a file's ending stands for; never a look into the file."""
    # Only the ending is asked for: `guess_type` takes a name like 'data:text/html,x' for a URL that says its type.
    guessed, packed = _MIME_TYPES.guess_type(f"file{PurePosixPath(name).suffix}")
    return guessed if guessed and not packed else "application/octet-stream"


def file_stem(title: str) -> str:
    """Return a file's name, without an ending, that any system takes, made from a session's name."""
    stem = "".join("_" if c in _FORBIDDEN_IN_NAMES or not c.isprintable() else c for c in title).strip(". ")
    return stem or "session"


def attachment_header(name: str) -> str:
    """Return a `Content-Disposition` that makes a browser save the file under its name (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
