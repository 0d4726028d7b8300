"""The bridge's end of a connection from inside the sandbox: a kernel, or a process that a cell has forked.

A kernel says first who it is, and is asked on the same connection. (Whose a socket is, gVisor does not tell.)
"""

import asyncio
from typing import Protocol, cast

from glovebox_wire import FINAL, HELLO, frame_at


class Listener(Protocol):
    """Who hears what is said."""

    def came(self, mouth: "Mouth") -> None:
        """Hear that somebody wants to speak."""

    def named(self, mouth: "Mouth") -> None:
        """Hear that it is a kernel: its `pid` is known."""

    def carry(self, frames: bytes) -> None:
        """Take whole frames."""

    def left(self, mouth: "Mouth") -> None:
        """Hear that it was the last."""


class Mouth(asyncio.Protocol):
    """One connection; half a frame, of somebody who died of it, is never passed on."""

    def __init__(self, listener: Listener) -> None:
        self.pid = 0
        self.silent = asyncio.Event()
        self._listener = listener
        self._rest = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        self._transport = cast(asyncio.Transport, transport)
        self._listener.came(self)

    def data_received(self, data: bytes) -> None:
        """Pass on the frames that are whole."""
        self._rest += data
        if self._rest[0] == FINAL | HELLO:
            self._hear_the_name()
        end = 0
        while (frame := frame_at(self._rest, end)) is not None:
            end = frame[1]
        if end:
            frames = bytes(self._rest[:end])
            del self._rest[:end]
            self._listener.carry(frames)

    def _hear_the_name(self) -> None:
        if (frame := frame_at(self._rest, 0)) is not None:
            start, end = frame
            self.pid = int(self._rest[start:end])
            del self._rest[:end]
            self._listener.named(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be silent for ever."""
        self.silent.set()
        self._listener.left(self)

    def ask(self, frame: bytes) -> None:
        """Send a request."""
        self._transport.write(frame)

    def hold(self) -> None:
        """Take nothing more: whoever speaks has to wait in the end."""
        self._transport.pause_reading()

    def go_on(self) -> None:
        """Take more again."""
        self._transport.resume_reading()

    def shut(self) -> None:
        """End the connection, whatever is left unsaid."""
        self._transport.abort()
