"""The channels of one kernel: its ZeroMQ sockets on one side, frames of the orchestrator's connection on the other.

A frame (`v1.kernel.websocket.jupyter.org`) is a table of 64-bit little-endian offsets (the count first), then the
channel's name, header, parent header, metadata, content, and buffers. A kernel's message is the same parts behind a
delimiter and a signature, which is empty: whoever gets at these sockets has the kernel's uid and can do all it can.
"""

import asyncio
import json
import struct
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
SIGNATURE = b""
IDENTITY = b"orchestrator"  # one for shell and stdin: a kernel asks for input from whoever sent the cell
# The ports of ipykernel with ipc: numbers behind the name that all sockets share.
PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}
QUEUED_MESSAGES = 16  # of at most a megabyte each, as a rule; then the kernel waits
MOST_AT_ONCE, AT_ONCE_BYTES = 16, 1024 * 1024  # messages that are handed on together
WELCOME_S, FULL_S = 0.1, 0.01
WORD = 8
FEWEST_OFFSETS, MOST_OFFSETS = 6, 64


class BadFrame(ValueError):
    """A frame whose offsets are wrong."""


class Channel:
    """One socket to a kernel, of which this process's event loop is told when there is something to take."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self._told = asyncio.Event()
        asyncio.get_running_loop().add_reader(socket, self._look)

    def _look(self) -> None:
        # Asking for the events is what makes ZeroMQ's descriptor quiet again.
        if self._socket.EVENTS & zmq.POLLIN:
            self._told.set()

    async def send(self, parts: list[bytes]) -> None:
        """Send a message; wait while the kernel has too many that it has not taken."""
        while True:
            try:
                self._socket.send_multipart(parts, zmq.NOBLOCK)
                break
            except zmq.Again:
                await asyncio.sleep(FULL_S)
        self._look()  # sending may have used up the descriptor's word that there is something to take

    async def receive(self) -> list[list[bytes]]:
        """Return all messages that are there, in their order; at least one."""
        while True:
            self._told.clear()
            messages = self._at_hand()
            if messages:
                return messages
            self._look()
            await self._told.wait()

    def _at_hand(self) -> list[list[bytes]]:
        messages: list[list[bytes]] = []
        size = 0
        with suppress(zmq.Again):
            while len(messages) < MOST_AT_ONCE and size < AT_ONCE_BYTES:
                messages.append(self._socket.recv_multipart(zmq.NOBLOCK))
                size += sum(map(len, messages[-1]))
        return messages

    def close(self) -> None:
        """Let go of the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close(linger=0)


class Channels:
    """The sockets to one kernel; close them when it is gone."""

    def __init__(self, name: str) -> None:
        self._context = zmq.Context()
        self._channels = {channel: self._connect(channel, name) for channel in ("shell", "iopub", "stdin", "control")}

    def __iter__(self) -> Iterator[str]:
        """Name them."""
        return iter(self._channels)

    def _connect(self, channel: str, name: str) -> Channel:
        socket = self._context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
        if channel == "iopub":
            socket.setsockopt(zmq.RCVHWM, QUEUED_MESSAGES)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        else:
            socket.setsockopt(zmq.IDENTITY, IDENTITY)
        socket.connect(f"ipc://{name}-{PORTS[channel]}")
        return Channel(socket)

    async def hear_the_kernel(self) -> None:
        """Return when the kernel knows that its outputs are heard; what it put out before would be lost.

        It welcomes whoever listens, but not if it sends something else in that very moment; then it has to be asked.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WELCOME_S):
                    await self._channels["iopub"].receive()
                    return
            await self.send("control", message("kernel_info_request", {}))

    async def send(self, channel: str, parts: list[bytes]) -> None:
        """Send a request to the kernel."""
        await self._channels[channel].send([DELIMITER, SIGNATURE, *parts])

    async def receive(self, channel: str) -> list[list[bytes]]:
        """Return the next messages from the kernel; what is none, code in the kernel has sent."""
        while True:
            messages = await self._channels[channel].receive()
            if whole := [each[each.index(DELIMITER) + 2 :] for each in messages if DELIMITER in each]:
                return whole

    def close(self) -> None:
        """Let go of the kernel, and of what it has not taken."""
        for channel in self._channels.values():
            channel.close()
        self._context.destroy(linger=0)


def parse_frame(frame: bytes) -> tuple[str, list[bytes]]:
    """Return a frame's channel and parts.

    Raises:
        BadFrame: it has none.

    """
    count = int.from_bytes(frame[:WORD], "little")
    if not FEWEST_OFFSETS <= count <= MOST_OFFSETS or len(frame) < WORD * (count + 1):
        raise BadFrame("no table of offsets")
    offsets = struct.unpack_from(f"<{count}Q", frame, WORD)
    channel, *parts = (frame[start:end] for start, end in pairwise(offsets))
    return channel.decode("latin-1"), parts


def frame_of(channel: str, parts: list[bytes]) -> list[bytes]:
    """Return the pieces of the frame of a message."""
    pieces = [channel.encode("ascii"), *parts]
    offsets = [WORD * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return [struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *pieces]


def message(kind: str, content: dict[str, Any]) -> list[bytes]:
    """Return the parts of a message that is the bridge's own."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "bridge", "username": "bridge"}
    header |= {"version": "5.4", "date": ""}
    return [json.dumps(part).encode() for part in (header, {}, {}, content)]
