"""Runs inside a sandbox (stdlib only): takes the gateway's socket over and plays one kind of hostile gateway.

Usage: evil_gateway.py CASE GATEWAY_PID
"""

import base64
import contextlib
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

CASE, GATEWAY = sys.argv[1], int(sys.argv[2])
SOCKET = "/run/glovebox/gw.sock"
BINARY, TEXT, PING = 0x82, 0x81, 0x89


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


def read_exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = line.recv(count - len(data))
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


def next_request(line: socket.socket) -> tuple[str, str]:
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
        if first & 15 == 8:
            raise ConnectionError
        if first & 15 == 2:
            start, end = struct.unpack_from("<2Q", data, 16)
            header = json.loads(data[start:end])
            return header["msg_type"], header["msg_id"]


def play(line: socket.socket, parent: str) -> None:  # noqa: C901 - one branch a case
    """Answer an execute request the hostile way."""
    if CASE == "huge-frame-header":
        line.sendall(bytes([BINARY, 127]) + struct.pack(">Q", 10 * 2**30) + b"x" * 2**20)
    elif CASE == "ff-frame":
        line.sendall(frame(b"\xff" * 32))
    elif CASE == "text-frame":
        line.sendall(frame(b"{}", TEXT))
    elif CASE == "deep-json":
        line.sendall(frame(message("iopub", "stream", None, parent, b"[" * 100_000)))
    elif CASE == "long-number":
        line.sendall(frame(message("iopub", "stream", None, parent, b'{"name":' + b"9" * 10_000_000 + b"}")))
    elif CASE == "ping-flood":
        until = time.monotonic() + 4
        while time.monotonic() < until:
            line.sendall(frame(b"x" * 100, PING) * 1000)
    elif CASE == "endless-fragments":
        line.sendall(bytes([0x02, 126]) + struct.pack(">H", 60000) + b"x" * 60000)
        while True:
            line.sendall(bytes([0x00, 126]) + struct.pack(">H", 60000) + b"x" * 60000)
    elif CASE == "other-peoples-answers":
        line.sendall(status(parent, "idle") + reply("0" * 32) + stream("0" * 32, "not yours"))
        line.sendall(frame(message("stdin", "input_request", {"prompt": "your password?"}, parent)))
        line.sendall(frame(message("iopub", "comm_open", {"comm_id": "x"}, parent)))
        line.sendall(stream(parent, "mine") + reply(parent) + reply(parent) + status(parent, "idle"))
        line.sendall(stream(parent, "too late") * 100)
    elif CASE == "endless-stream":
        while True:
            line.sendall(stream(parent, "x" * 50_000 + "\n") * 20)
    elif CASE == "endless-after-the-reply":
        line.sendall(reply(parent))
        while True:
            line.sendall(stream(parent, "and another thing\n"))
            time.sleep(0.05)
    elif CASE == "many-pictures":
        picture = {"data": {"image/png": base64.b64encode(os.urandom(300)).decode()}, "metadata": {}}
        one = frame(message("iopub", "display_data", picture, parent))
        for _ in range(100):
            line.sendall(one * 1000)
        line.sendall(reply(parent) + status(parent, "idle"))
    elif CASE == "large-lists":
        content = b'{"name":"stdout","text":[' + b"1," * 10_000_000 + b"1]}"
        for _ in range(10):
            line.sendall(frame(message("iopub", "stream", None, parent, content)))
        line.sendall(reply(parent) + status(parent, "idle"))
    time.sleep(600)


def converse(line: socket.socket) -> None:  # noqa: C901 - one branch a case
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(65536)
    if head.startswith(b"POST"):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        return
    if CASE == "no-answer":
        time.sleep(600)
    if CASE == "endless-headers":
        line.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            line.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")
    if CASE == "redirect":
        line.sendall(b"HTTP/1.1 302 Found\r\nLocation: ws://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
        return
    if CASE == "gzip-bomb":
        line.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n" + b"\x1f\x8b" * 2**20
        )
        return
    key = next(row for row in head.split(b"\r\n") if row.lower().startswith(b"sec-websocket-key")).split(b": ")[1]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if CASE == "deflate" else b""
    line.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org\r\n"
        + extension
        + b"Sec-WebSocket-Accept: "
        + accept
        + b"\r\n\r\n"
    )
    while True:
        kind, parent = next_request(line)
        if kind == "execute_request":
            play(line, parent)
        elif CASE != "says-nothing":
            line.sendall(status(parent, "idle"))


def main() -> None:
    os.kill(GATEWAY, signal.SIGSTOP)
    os.unlink(SOCKET)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(50)
    open("/run/glovebox/taken", "w").close()
    while True:
        line, _ = listener.accept()

        def serve(line: socket.socket = line) -> None:
            with contextlib.suppress(OSError), line:
                converse(line)

        threading.Thread(target=serve, daemon=True).start()


main()
