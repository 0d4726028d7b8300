"""What goes between a kernel and the bridge: messages, one after the other, both ways on one unix socket.

Each is a frame of WebSocket's (RFC 6455, section 5.2), whole and without a mask, so that the bridge can pass on what a
kernel says as it comes. In it is a message of `v1.kernel.websocket.jupyter.org`: a table of 64-bit little-endian
offsets (the count first), then the channel's name, header, parent header, metadata, content, and buffers. Before its
first message a kernel says its pid, in a frame of the kind HELLO.
"""

import json
import struct
import uuid
from itertools import pairwise
from typing import Any

HELLO, BINARY, FINAL = 0x1, 0x2, 0x80
LENGTH, LONG_SIZES = 0x7F, {126: 2, 127: 8}  # of sizes that do not fit in there, how many bytes follow
WORD = 8
FEWEST_OFFSETS, MOST_OFFSETS = 6, 64


class BadFrame(ValueError):
    """A message whose offsets are wrong."""


def frame_head(kind: int, size: int) -> bytes:
    """Return what comes before the data of a whole frame."""
    if size < 126:
        return bytes([FINAL | kind, size])
    if size < 1 << 16:
        return bytes([FINAL | kind, 126]) + size.to_bytes(2)
    return bytes([FINAL | kind, 127]) + size.to_bytes(8)


def head_at(data: bytes | bytearray, start: int) -> tuple[int, int] | None:
    """Return where the head of the frame at `start` ends, and the size of its data; None if it is not whole yet."""
    there = len(data) - start
    if there < 2:
        return None
    size, at = data[start + 1] & LENGTH, start + 2
    words = LONG_SIZES.get(size, 0)
    if there < 2 + words:
        return None
    return at + words, int.from_bytes(data[at : at + words]) if words else size


def frame_at(data: bytes | bytearray, start: int) -> tuple[int, int] | None:
    """Return where the data of the unmasked frame at `start` begins and ends; None if it is not whole yet."""
    head = head_at(data, start)
    if head is None or sum(head) > len(data):
        return None
    return head[0], sum(head)


def framed(message: bytes) -> bytes:
    """Return a message in its frame."""
    return frame_head(BINARY, len(message)) + message


def packed(channel: str, parts: list[bytes]) -> bytes:
    """Return the message of these parts, in its frame."""
    pieces = [channel.encode("ascii"), *parts]
    offsets = [WORD * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    table = struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets)
    return b"".join((frame_head(BINARY, offsets[-1]), table, *pieces))


def hello(pid: int) -> bytes:
    """Return what a kernel says first, in its frame."""
    name = b"%d" % pid
    return frame_head(HELLO, len(name)) + name


def unpacked(message: bytes) -> tuple[str, list[bytes]]:
    """Return a message's channel and parts.

    Raises:
        BadFrame: it has none.

    """
    count = int.from_bytes(message[:WORD], "little")
    if not FEWEST_OFFSETS <= count <= MOST_OFFSETS or len(message) < WORD * (count + 1):
        raise BadFrame("no table of offsets")
    offsets = struct.unpack_from(f"<{count}Q", message, WORD)
    channel, *parts = (message[start:end] for start, end in pairwise(offsets))
    return channel.decode("latin-1"), parts


def parts_of(kind: str, content: dict[str, Any], parent: bytes = b"{}") -> list[bytes]:
    """Return the parts of a message that is the bridge's own; the header of the request that it answers is `parent`."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "bridge", "username": "bridge"}
    header |= {"version": "5.4", "date": ""}
    return [json.dumps(header).encode(), parent, b"{}", json.dumps(content).encode()]
