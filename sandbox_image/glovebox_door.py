"""The door of a sandbox: as much of HTTP and of WebSocket (RFC 6455) as the orchestrator needs, on a unix socket.

Standard library only, and no more of it than the kernel needs anyway: a web framework would be most of a cold start.
"""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from glovebox_wire import BINARY, FINAL, BadFrame, frame_head, head_at

HEAD_BYTES = 64 * 1024
MESSAGE_BYTES = 64 * 1024 * 1024
UNTAKEN_BYTES = 8 * 1024 * 1024
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 503: "Service Unavailable"}
MORE, CLOSE, PING, LAST = 0x0, 0x8, 0x9, 0xA
MASKED, MASK_BYTES = 0x80, 4
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadRequest(Exception):
    """What came is no HTTP, or no WebSocket."""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


def parse_request(head: bytes) -> Request:
    """Return the request of which this is the head, without the empty line.

    Raises:
        BadRequest: it is none.

    """
    try:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return Request(method, target.partition("?")[0], headers)


class Frames:
    """Takes apart what a client sends once its handshake was answered: frames, all of them masked."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield what is whole now: messages (as BINARY), and frames of the kinds CLOSE and PING.

        Raises:
            BadRequest: the client breaks the protocol.

        """
        self._rest += data
        while (frame := self._next()) is not None:
            final, kind, content = frame
            if kind in (CLOSE, PING):
                yield kind, content
            elif kind in (BINARY, MORE):
                self._pieces.append(content)
                if sum(map(len, self._pieces)) > MESSAGE_BYTES:
                    raise BadRequest("a message that is too long")
                if final:
                    pieces, self._pieces = self._pieces, []
                    yield BINARY, b"".join(pieces)
            elif kind != LAST:
                raise BadRequest(f"a frame of kind {kind}")

    def _next(self) -> tuple[bool, int, bytes] | None:
        rest = self._rest
        head = head_at(rest, 0)
        if head is None:
            return None
        start, size = head
        if size > MESSAGE_BYTES or not rest[1] & MASKED:
            raise BadRequest("a frame that is too long, or not masked")
        end = start + MASK_BYTES + size
        if len(rest) < end:
            return None
        first = rest[0]
        content = unmasked(bytes(rest[start + MASK_BYTES : end]), bytes(rest[start : start + MASK_BYTES]))
        del rest[:end]
        return bool(first & FINAL), first & 0xF, content


class House(Protocol):
    """What is behind the door."""

    def asked(self, visitor: "Visitor", request: Request) -> None:
        """Take a request."""

    def said(self, visitor: "Visitor", message: bytes) -> None:
        """Take a message of whoever was accepted."""

    def full(self, visitor: "Visitor") -> None:
        """Hear that the visitor has not taken what was sent: it should be the last for now."""

    def free(self, visitor: "Visitor") -> None:
        """Hear that it has."""

    def gone(self, visitor: "Visitor") -> None:
        """Hear that it is gone."""


class Visitor(asyncio.Protocol):
    """One connection to the door: a request, and messages both ways after `accept`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._head = bytearray()
        self._is_read = False
        self._frames: Frames | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNTAKEN_BYTES)

    def data_received(self, data: bytes) -> None:
        """Take what was sent; whoever breaks the protocol is shown out."""
        try:
            if self._frames is None:
                self._take_head(data)
            else:
                self._take_messages(self._frames, data)
        except (BadRequest, BadFrame):
            self._transport.close()

    def _take_head(self, data: bytes) -> None:
        self._head += data
        if len(self._head) > HEAD_BYTES:
            raise BadRequest("a head that is too long")
        end = self._head.find(b"\r\n\r\n")
        if end >= 0 and not self._is_read:
            self._is_read = True
            request = parse_request(bytes(self._head[:end]))
            del self._head[: end + 4]
            self._house.asked(self, request)

    def _take_messages(self, frames: Frames, data: bytes) -> None:
        for kind, content in frames.feed(data):
            if kind == BINARY:
                self._house.said(self, content)
            elif kind == PING:
                self.write(frame_head(LAST, len(content)) + content)
            else:
                self.write(frame_head(CLOSE, len(content)) + content)
                self._transport.close()
                return

    def answer(self, status: int) -> None:
        """Answer the request with a status and nothing else."""
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.write(head.encode("ascii"))
        self._transport.close()

    def accept(self, request: Request, subprotocol: str) -> None:
        """Answer the handshake of a WebSocket."""
        key = request.headers.get("sec-websocket-key", "").encode("latin-1")
        proof = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode("ascii")
        self.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {proof}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n".encode("ascii")
        )
        self._frames = Frames()
        self.data_received(bytes(self._head))

    def write(self, data: bytes) -> None:
        """Send whole frames; `full` is told when the other end is late."""
        self._transport.write(data)

    def abort(self) -> None:
        """End the connection without another word."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Pass on that what was sent is not taken."""
        self._house.full(self)

    def resume_writing(self) -> None:
        """Pass on that it is."""
        self._house.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that nobody is there any more."""
        self._house.gone(self)


def unmasked(data: bytes, mask: bytes) -> bytes:
    """Return data without the mask that a client has to lay over it."""
    size = len(data)
    pattern = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(data) ^ pattern).to_bytes(size)
