"""The kernel's end of its connection to the bridge: what it says, from whatever thread, and what it is asked.

Whoever speaks sends, and waits while the bridge takes no more (which waits for the orchestrator, in turn): a gigabyte
that is printed at full speed piles up nowhere. A process that a cell has forked speaks on a connection of its own.
"""

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from itertools import repeat
from typing import Any

from glovebox_wire import frame_at, hello, packed, unpacked

READ_BYTES = 256 * 1024
DELIMITER = b"<IDS|MSG>"  # of Jupyter's messages over ZeroMQ: addresses before it, a signature and the parts after it


class Batch:
    """Frames that are sent together, and how much of them was sent, piece by piece."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.sent: deque[int] = deque()


class Voice:
    """All that a process says to the bridge, in its order, each message whole."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Have said nothing, and have no connection: that of the process that forked this one is not ours."""
        self._waiting: deque[bytes] = deque()
        self._batch = Batch()
        self._lock = threading.Lock()
        self._speaker = 0
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def socket(self) -> socket.socket:
        """The connection."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(self._path)
        return self._socket

    def introduce(self) -> None:
        """Say that this is the kernel, which is asked on this connection."""
        self.socket.sendall(hello(os.getpid()))

    def think(self, channel: str, parts: list[bytes]) -> None:
        """Have a message to say; it is said with the next that is."""
        self._waiting.append(packed(channel, parts))

    def speak(self) -> None:
        """Say all that waits. Returns when it is on its way, unless this thread is at it already, further up."""
        if self._speaker == threading.get_ident():
            return
        with self._lock:
            self._speaker = threading.get_ident()
            try:
                while self._batch.frames or self._waiting:
                    self._say()
            finally:
                self._speaker = 0

    def _say(self) -> None:
        """Send what is there. An exception out of a signal's handler may end this anywhere, and nothing goes amiss.

        Python looks for signals after each call that its code makes, but not within `extend`: what was taken or sent
        is noted in the same instant.
        """
        batch = self._batch
        if not batch.frames:
            batch.frames.extend(map(deque.popleft, repeat(self._waiting, len(self._waiting))))
        data = memoryview(b"".join(batch.frames))
        while (start := sum(batch.sent)) < len(data):
            batch.sent.extend(map(self.socket.send, (data[start:],)))
        self._batch = Batch()


class Channel:
    """Stands where ipykernel has a socket."""

    def __init__(self, voice: Voice, name: str, *, waits: bool = False) -> None:
        """What is sent on a channel that `waits` goes with the next message of one that does not."""
        self._voice, self._name, self._waits = voice, name, waits

    def send_multipart(self, parts: list[bytes], *_: Any, **__: Any) -> None:
        """Send a message."""
        self._voice.think(self._name, parts[parts.index(DELIMITER) + 2 :])
        if not self._waits:
            self._voice.speak()


class Requests:
    """What the kernel is asked on its connection, answered one after the other."""

    def __init__(self, connection: socket.socket, answer: Callable[[list[bytes]], Coroutine[Any, Any, None]]) -> None:
        """Have each request answered, in one context: what a cell sets in it is there for the next."""
        self._socket = connection
        self._answer = answer
        self._rest = bytearray()
        self._asked: deque[list[bytes]] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._context = copy_context()
        self._loop = asyncio.get_event_loop()
        self._loop.add_reader(connection, self._read)

    def _read(self) -> None:
        data = self._socket.recv(READ_BYTES)
        if not data:  # the bridge has ended, and with it the container
            self._loop.stop()
        self._rest += data
        while (frame := frame_at(self._rest, 0)) is not None:
            start, end = frame
            self._asked.append(unpacked(bytes(self._rest[start:end]))[1])
            del self._rest[:end]
        if self._asked and (self._answering is None or self._answering.done()):
            # At once: most are done when this returns, and the loop need not turn for them.
            self._answering = asyncio.Task(self._answer_all(), loop=self._loop, context=self._context, eager_start=True)

    async def _answer_all(self) -> None:
        while self._asked:
            await self._answer(self._asked.popleft())
