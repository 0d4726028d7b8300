"""Pictures for a model with vision: what is one, and what it costs. Pure.

Nothing here decodes a picture (THREATS F3): its kind is told by its first bytes, its size by numbers that stand at a
fixed place in them. What is too large is scaled in the sandbox.
"""

import struct
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from orchestrator.limits import PICTURE_BYTES, PICTURE_SIDE, UNSEEN_PICTURE_BYTES

HEAD_BYTES = 64
_PREFIX = "data:{};base64,"
_TILE = 512
_TILE_TOKENS, _BASE_TOKENS = 170, 85
_PIXELS_PER_TOKEN = 750
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be shown to a model."""

    mime_type: str
    base64: str
    width: int | None = None
    height: int | None = None

    @property
    def tokens(self) -> int:
        """What it costs."""
        return picture_tokens(self.width, self.height)

    def part(self) -> dict[str, Any]:
        """Return it as part of a message."""
        return {"type": "image_url", "image_url": {"url": _PREFIX.format(self.mime_type) + self.base64}}


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A picture that has to be scaled before it can be shown."""

    mime_type: str


def read_picture(data: bytes) -> Picture | TooLarge | None:
    """Return bytes as a picture, or None for what is none of the four kinds that every provider takes."""
    mime_type, width, height = kind_and_size(data[:HEAD_BYTES])
    if mime_type is None:
        return None
    known = width is not None and height is not None
    if len(data) > (PICTURE_BYTES if known else UNSEEN_PICTURE_BYTES) or max(width or 0, height or 0) > PICTURE_SIDE:
        return TooLarge(mime_type)
    return Picture(mime_type, b64encode(data).decode(), width, height)


def read_shown(value: object) -> Picture | TooLarge | None:
    """Return a picture that a cell has shown: base64, as nbformat keeps it."""
    if not isinstance(value, str):
        return None
    text = "".join(value.split())
    if len(text) > PICTURE_BYTES * 4 // 3:
        mime_type, _, _ = kind_and_size(_head(text))
        return None if mime_type is None else TooLarge(mime_type)
    try:
        return read_picture(b64decode(text, validate=True))
    except (NoBase64, ValueError):
        return None


def kind_and_size(head: bytes) -> tuple[str | None, int | None, int | None]:
    """Return mime type, width and height by a picture's first bytes; a JPEG's size stands nowhere in particular."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png", *struct.unpack(">II", head[16:24])
        if head.startswith((b"GIF87a", b"GIF89a")):
            return "image/gif", *struct.unpack("<HH", head[6:10])
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return "image/webp", *_webp_size(head)
    except struct.error:
        return None, None, None
    return ("image/jpeg" if head.startswith(b"\xff\xd8\xff") else None), None, None


def picture_tokens(width: int | None, height: int | None) -> int:
    """Return what a picture costs at the most: by tiles (OpenAI) or by pixels (others), unknown as the largest."""
    width, height = max(1, width or PICTURE_SIDE), max(1, height or PICTURE_SIDE)
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    tiles = ceil(width * scale / _TILE) * ceil(height * scale / _TILE)
    return max(_BASE_TOKENS + _TILE_TOKENS * tiles, ceil(width * height / _PIXELS_PER_TOKEN))


def tokens_of_part(part: Mapping[str, Any]) -> int:
    """Return what a picture costs that is part of a message."""
    url = part.get("image_url", {}).get("url", "") if part.get("type") == "image_url" else ""
    _, width, height = kind_and_size(_head(url.partition(",")[2]))
    return picture_tokens(width, height)


def _head(base64: str) -> bytes:
    try:
        return b64decode(base64[: HEAD_BYTES * 4 // 3 // 4 * 4])
    except (NoBase64, ValueError):
        return b""


def _webp_size(head: bytes) -> tuple[int | None, int | None]:
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", head[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack("<I", head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None, None
