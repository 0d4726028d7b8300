"""A provider's streamed answer: bytes become chunks of a reply, each bounded. No I/O.

The SDK's own reader has no bound for a line, does not tell whether the end was the end, and takes a chunk that is no
JSON for an error that nobody expects.
"""

import json
from typing import Any

from orchestrator.limits import MODEL_CHUNK_BYTES, MODEL_STREAM_BYTES

_DONE = "[DONE]"


class BrokenStream(ValueError):
    """What came is no stream of chunks, or ended before its end."""


class EndlessStream(Exception):
    """More came than any reply has."""


class ChunkReader:
    """Takes bytes and returns chunks: objects of server-sent events, or one object where a server does not stream."""

    def __init__(self) -> None:
        self.done = False
        self._line = bytearray()
        self._data: list[str] = []
        self._taken = 0
        self._is_one_object: bool | None = None

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Add bytes and return the chunks that are whole with them.

        Raises:
            BrokenStream: a chunk is no JSON object.
            EndlessStream: there is no end to it.

        """
        self._taken += len(data)
        self._line += data
        if self._is_one_object is None and (begun := self._line.lstrip()):
            self._is_one_object = begun.startswith(b"{")
        found: list[dict[str, Any]] = []
        if not self._is_one_object and b"\n" in data:
            *lines, rest = bytes(self._line).split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                found += self._take_line(line)
        if len(self._line) > MODEL_CHUNK_BYTES or self._taken > MODEL_STREAM_BYTES:
            raise EndlessStream
        return found

    def finish(self) -> list[dict[str, Any]]:
        """Say that no more bytes come, and return the chunks that only waited for that. Raises BrokenStream."""
        line, self._line = bytes(self._line), bytearray()
        if self._is_one_object:
            self.done = True
            return [_chunk(line.decode("utf-8", "replace"))]
        return [*self._take_line(line), *self._take_line(b"")]

    def _take_line(self, line: bytes) -> list[dict[str, Any]]:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if text.startswith("data:"):
            self._data.append(text[5:].removeprefix(" "))
            return []
        if text or not self._data:
            return []  # a comment, or a field that says nothing here
        data, self._data = "\n".join(self._data), []
        if data.startswith(_DONE):
            self.done = True
        return [] if self.done or not data.strip() else [_chunk(data)]


def _chunk(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenStream("a chunk is no JSON") from error
    if not isinstance(chunk, dict):
        raise BrokenStream("a chunk is no object")
    return chunk
