"""The channels of one kernel: its ZeroMQ sockets on one side, frames of the orchestrator's connection on the other.

A frame (`v1.kernel.websocket.jupyter.org`) is a table of 64-bit little-endian offsets (the count first), then the
channel's name, header, parent header, metadata, content, and buffers. A kernel's message is the same parts behind a
delimiter and a signature, which is empty: whoever gets at these sockets has the kernel's uid and can do all it can.
"""

import asyncio
import json
import struct
import uuid
from contextlib import suppress
from itertools import pairwise
from typing import Any

import zmq
import zmq.asyncio

DELIMITER = b"<IDS|MSG>"
SIGNATURE = b""
IDENTITY = b"orchestrator"  # one for shell and stdin: a kernel asks for input from whoever sent the cell
# The ports of ipykernel with ipc: numbers behind the name that all sockets share.
PORTS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}
QUEUED_MESSAGES = 16  # of at most a megabyte each, as a rule; then the kernel waits
WELCOME_S = 0.1
WORD = 8
FEWEST_OFFSETS, MOST_OFFSETS = 6, 64


class BadFrame(ValueError):
    """A frame whose offsets are wrong."""


class Channels:
    """The sockets to one kernel; close them when it is gone."""

    def __init__(self, name: str) -> None:
        self._context = zmq.asyncio.Context()
        self.sockets = {channel: self._connect(channel, name) for channel in ("shell", "iopub", "stdin", "control")}

    def _connect(self, channel: str, name: str) -> zmq.asyncio.Socket:
        socket = self._context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
        if channel == "iopub":
            socket.setsockopt(zmq.RCVHWM, QUEUED_MESSAGES)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        else:
            socket.setsockopt(zmq.IDENTITY, IDENTITY)
        socket.connect(f"ipc://{name}-{PORTS[channel]}")
        return socket

    async def hear_the_kernel(self) -> None:
        """Return when the kernel knows that its outputs are heard; what it put out before would be lost.

        It welcomes whoever listens, but not if it sends something else in that very moment; then it has to be asked.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WELCOME_S):
                    await self.sockets["iopub"].recv_multipart()
                    return
            await self.send("control", message("kernel_info_request", {}))

    async def send(self, channel: str, parts: list[bytes]) -> None:
        """Send a request to the kernel."""
        await self.sockets[channel].send_multipart([DELIMITER, SIGNATURE, *parts])

    async def receive(self, channel: str) -> list[bytes]:
        """Return the next message from the kernel; what is none, code in the kernel has sent."""
        while True:
            message = await self.sockets[channel].recv_multipart()
            if DELIMITER in message:
                return message[message.index(DELIMITER) + 2 :]

    def close(self) -> None:
        """Let go of the kernel, and of what it has not taken."""
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
