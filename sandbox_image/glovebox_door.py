"""The door of a sandbox: as much of HTTP and of WebSocket (RFC 6455) as the orchestrator needs, on a unix socket.

Standard library only, and no more of it than the kernel needs anyway: a web framework would be most of a cold start.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
MESSAGE_BYTES = 64 * 1024 * 1024
UNTAKEN_BYTES = 8 * 1024 * 1024
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 503: "Service Unavailable"}
MORE, BINARY, CLOSE, PING, LAST = 0x0, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadRequest(Exception):
    """What came is no HTTP, or no WebSocket."""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read the head of a request.

    Raises:
        BadRequest: it is none.
        asyncio.IncompleteReadError: whoever sent it went away.

    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise BadRequest(str(error)) from error
    return Request(method, target.partition("?")[0], headers)


def answer(writer: asyncio.StreamWriter, status: int) -> None:
    """Answer a request with a status and nothing else."""
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("ascii"))


class WebSocket:
    """The server's end of a connection whose handshake has been read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=UNTAKEN_BYTES)

    def accept(self, request: Request, subprotocol: str) -> None:
        """Answer the handshake."""
        key = request.headers.get("sec-websocket-key", "").encode("latin-1")
        proof = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode("ascii")
        self._writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {proof}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n".encode("ascii")
        )

    async def send(self, messages: list[list[bytes]]) -> None:
        """Send binary messages, each in parts. Returns when the other end has taken most of what was sent before."""
        self._writer.write(
            b"".join(piece for parts in messages for piece in (frame_head(BINARY, sum(map(len, parts))), *parts))
        )
        await self._writer.drain()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield what comes, until the other end closes.

        Raises:
            BadRequest: it breaks the protocol.
            asyncio.IncompleteReadError: the other end went away.

        """
        pieces: list[bytes] = []
        while True:
            final, kind, data = await self._read_frame()
            if kind == CLOSE:
                self._writer.writelines([frame_head(CLOSE, len(data)), data])
                return
            if kind == PING:
                self._writer.writelines([frame_head(LAST, len(data)), data])
            elif kind in (BINARY, MORE):
                pieces.append(data)
                if sum(map(len, pieces)) > MESSAGE_BYTES:
                    raise BadRequest("a message that is too long")
                if final:
                    yield b"".join(pieces)
                    pieces = []
            elif kind != LAST:
                raise BadRequest(f"a frame of kind {kind}")

    def abort(self) -> None:
        """End the connection without another word."""
        self._writer.transport.abort()

    async def _read_frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & ~MASKED
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
        if size > MESSAGE_BYTES or not second & MASKED:
            raise BadRequest("a frame that is too long, or not masked")
        mask = await self._reader.readexactly(4)
        return bool(first & FINAL), first & 0xF, unmasked(await self._reader.readexactly(size), mask)


def frame_head(kind: int, size: int) -> bytes:
    """Return what comes before the data of a whole message."""
    if size < 126:
        return bytes([FINAL | kind, size])
    if size < 1 << 16:
        return bytes([FINAL | kind, 126]) + size.to_bytes(2)
    return bytes([FINAL | kind, 127]) + size.to_bytes(8)


def unmasked(data: bytes, mask: bytes) -> bytes:
    """Return data without the mask that a client has to lay over it."""
    size = len(data)
    pattern = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(data) ^ pattern).to_bytes(size)
