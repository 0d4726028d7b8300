"""Runs inside a sandbox beside `evil_gateway.py` (stdlib only): what a gateway says, as bytes."""

import json
import os
import socket
import struct

BINARY, TEXT, CLOSE, PING, PONG = 0x82, 0x81, 0x88, 0x89, 0x8A


def frame(payload: bytes, first: int = BINARY) -> bytes:
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 2**16:
        return bytes([first, 126]) + struct.pack(">H", len(payload)) + payload
    return bytes([first, 127]) + struct.pack(">Q", len(payload)) + payload


def message(channel: str, kind: str, content: object, parent: str, raw_content: bytes | None = None) -> bytes:
    parts = [
        channel.encode(),
        json.dumps({"msg_id": os.urandom(8).hex(), "msg_type": kind}).encode(),
        json.dumps({"msg_id": parent}).encode(),
        b"{}",
        raw_content or json.dumps(content).encode(),
    ]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def status(parent: str, state: str) -> bytes:
    return frame(message("iopub", "status", {"execution_state": state}, parent))


def reply(parent: str) -> bytes:
    return frame(message("shell", "execute_reply", {"status": "ok", "execution_count": 1}, parent))


def stream(parent: str, text: str) -> bytes:
    return frame(message("iopub", "stream", {"name": "stdout", "text": text}, parent))


def shown(parent: str, data: dict[str, object], kind: str = "display_data", **content: object) -> bytes:
    return frame(message("iopub", kind, {"data": data, "metadata": {}, **content}, parent))


def end(parent: str) -> bytes:
    return reply(parent) + status(parent, "idle")


def for_ever(line: socket.socket, data: bytes) -> None:
    while True:
        line.sendall(data)


def read_exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = line.recv(count - len(data))
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


def next_request(line: socket.socket, *, heed_close: bool) -> tuple[str, str]:
    """Return kind and id of the next request of the orchestrator."""
    while True:
        first, second = read_exactly(line, 2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack(">H", read_exactly(line, 2))
        elif length == 127:
            (length,) = struct.unpack(">Q", read_exactly(line, 8))
        mask = read_exactly(line, 4)
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(read_exactly(line, length)))
        if first & 15 == 8 and heed_close:
            raise ConnectionError
        if first & 15 == 2:
            start, end = struct.unpack_from("<2Q", data, 16)
            header = json.loads(data[start:end])
            return header["msg_type"], header["msg_id"]
