"""Frames of the subprotocol `v1.kernel.websocket.jupyter.org`, parsed strictly and written.

A frame is a table of 64-bit little-endian offsets (the count first), then the channel's name and the JSON parts
header, parent_header, metadata and content, then buffers. Jupyter's own parser trusts the count: 32 bytes of 0xff make
it eat all memory. This one checks each number against the frame before it uses it.
"""

import json
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from orchestrator.limits import GATEWAY_MESSAGE_VALUES

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
# Commas and brackets in texts make no values.
_STRING_OR_MARK = re.compile(rb'"(?:[^"\\]|\\.)*+"|([,\[{])', re.DOTALL)
_WORD = 8
_FEWEST_OFFSETS = 6  # channel, header, parent_header, metadata, content, and the frame's end
_MOST_OFFSETS = 64
_MOST_KEPT, _LONGEST_KEPT = 64, 1024


class BadFrame(ValueError):
    """The frame breaks the protocol; whoever sent it cannot be trusted further."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message between a client and a kernel: JSON objects, nothing interpreted yet."""

    channel: str
    header: dict[str, Any]
    parent_header: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]


def parse_frame(data: bytes) -> Frame:
    """Parse one binary frame. Buffers are dropped: no output that Glovebox shows needs them.

    Raises:
        BadFrame: lengths, offsets, encoding or JSON are wrong.

    """
    if len(data) < _WORD:
        raise BadFrame("shorter than its own count")
    (count,) = struct.unpack_from("<Q", data)
    if not _FEWEST_OFFSETS <= count <= _MOST_OFFSETS:
        raise BadFrame(f"{count} offsets, expected {_FEWEST_OFFSETS} to {_MOST_OFFSETS}")
    table_end = _WORD * (count + 1)
    if len(data) < table_end:
        raise BadFrame("the offset table is longer than the frame")
    offsets = struct.unpack_from(f"<{count}Q", data, _WORD)
    if offsets[0] != table_end or offsets[-1] != len(data):
        raise BadFrame("the offsets do not cover the frame")
    if any(later < earlier for earlier, later in pairwise(offsets)):
        raise BadFrame("an offset goes back")
    parts = [data[start:end] for start, end in pairwise(offsets[:6])]
    try:
        channel = parts[0].decode("ascii")
    except UnicodeDecodeError as error:
        raise BadFrame("the channel's name is no ASCII") from error
    header, parent, metadata, content = parts[1:]
    of_request = _parse_again if len(parent) <= _LONGEST_KEPT else parse_object
    return Frame(channel, parse_object(header), of_request(parent), parse_object(metadata), parse_object(content))


@lru_cache(_MOST_KEPT)
def _parse_again(part: bytes) -> dict[str, Any]:
    """Parse what all messages about one request have in common; nobody changes it. Raises BadFrame."""
    return parse_object(part)


def parse_object(part: bytes) -> dict[str, Any]:
    """Parse bytes as one JSON object.

    Bytes that are no UTF-8 become replacement characters: ipykernel sends such when a cell prints a name that is none.

    Raises:
        BadFrame: no JSON, too many values, NaN or infinite, nested too deep (RecursionError), a number too
            long, or no object.

    """
    if part == b"{}":
        return {}
    if has_too_many_values(part, GATEWAY_MESSAGE_VALUES):
        raise BadFrame(f"more than {GATEWAY_MESSAGE_VALUES:,} values in one message")
    try:
        text = part.decode("utf-8", "replace")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadFrame("a part is no JSON object")
    return value


def serialize_frame(channel: str, header: dict[str, Any], content: dict[str, Any]) -> bytes:
    """Return a request to the kernel as one binary frame."""
    parts = [channel.encode("ascii")] + [_ENCODER.encode(part).encode("ascii") for part in (header, {}, {}, content)]
    offsets = [_WORD * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def has_too_many_values(part: bytes, most: int) -> bool:
    """Tell whether JSON may have more values than allowed: a list of ten million empty lists is 20 MB, parsed 700.

    Counted one by one: whatever would make a copy of the parts makes a million small objects of a million keys.
    """
    if part.count(b",") + part.count(b"[") + part.count(b"{") <= most:
        return False
    marks = (one for one in _STRING_OR_MARK.finditer(part) if one.lastindex)
    return next(islice(marks, most, None), None) is not None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """Return a number; one too large for a float would be read as infinite, which nobody could write as JSON again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no JSON")
    return number


# Made once: to make one takes as long as to parse a small message.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
