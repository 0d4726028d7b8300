"""Runs inside a sandbox beside `evil_wire.py`: takes the gateway's socket over and plays one kind of hostile gateway.

Usage: evil_gateway.py CASE GATEWAY_PID
"""

import base64
import contextlib
import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from evil_wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    end,
    for_ever,
    frame,
    message,
    next_request,
    reply,
    shown,
    status,
    stream,
)

CASE, GATEWAY = sys.argv[1], int(sys.argv[2])
SOCKET = "/run/glovebox/gw.sock"
Play = Callable[[socket.socket, str], None]
ANSWERS: dict[str, Play] = {}  # what is said to an execute request, by the case's name
GREETINGS: dict[str, Callable[[socket.socket], None]] = {}  # what is said instead of a handshake
RESTARTS: dict[str, Callable[[socket.socket], None]] = {}  # what is said to the request for a restart


def case(cases: dict[str, object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function the case that bears its name."""

    def register(play: Callable[..., None]) -> Callable[..., None]:
        cases[play.__name__.replace("_", "-")] = play
        return play

    return register


@case(ANSWERS)
def huge_frame_header(line: socket.socket, parent: str) -> None:
    line.sendall(bytes([BINARY, 127]) + struct.pack(">Q", 10 * 2**30) + b"x" * 2**20)


@case(ANSWERS)
def ff_frame(line: socket.socket, parent: str) -> None:
    line.sendall(frame(b"\xff" * 32))


@case(ANSWERS)
def text_frame(line: socket.socket, parent: str) -> None:
    line.sendall(frame(b"{}", TEXT))


@case(ANSWERS)
def deep_json(line: socket.socket, parent: str) -> None:
    line.sendall(frame(message("iopub", "stream", None, parent, b"[" * 100_000)))


@case(ANSWERS)
def long_number(line: socket.socket, parent: str) -> None:
    line.sendall(frame(message("iopub", "stream", None, parent, b'{"name":' + b"9" * 10_000_000 + b"}")))


@case(ANSWERS)
def not_a_number(line: socket.socket, parent: str) -> None:
    line.sendall(frame(message("iopub", "stream", {"name": "stdout", "text": float("nan")}, parent)))


@case(ANSWERS)
def million_keys(line: socket.socket, parent: str) -> None:
    keys = ",".join(f'"{number}":0' for number in range(1_000_000))
    line.sendall(frame(message("iopub", "stream", None, parent, b"{" + keys.encode() + b"}")))


@case(ANSWERS)
def ping_flood(line: socket.socket, parent: str) -> None:
    until = time.monotonic() + 4
    while time.monotonic() < until:
        line.sendall(frame(b"x" * 100, PING) * 1000)


@case(ANSWERS)
def pong_flood(line: socket.socket, parent: str) -> None:
    for_ever(line, frame(b"x" * 100, PONG) * 1000)


@case(ANSWERS)
def long_ping(line: socket.socket, parent: str) -> None:
    """A control frame has at most 125 bytes (RFC 6455, 5.5)."""
    line.sendall(frame(b"x" * 60_000, PING))


@case(ANSWERS)
def ping_in_pieces(line: socket.socket, parent: str) -> None:
    line.sendall(frame(b"x", PING & 0x7F) + frame(b"x", 0x80))


@case(ANSWERS)
def reserved_bits(line: socket.socket, parent: str) -> None:
    line.sendall(frame(b"x", BINARY | 0x70) + frame(b"x", 0x8F))


@case(ANSWERS)
def masked_frame(line: socket.socket, parent: str) -> None:
    """A server must not mask (RFC 6455, 5.1)."""
    line.sendall(bytes([BINARY, 0x80 | 4, 0, 0, 0, 0]) + b"xxxx")


@case(ANSWERS)
def close_in_the_middle(line: socket.socket, parent: str) -> None:
    """Begin a message, then close with a code that is none, and go on as if nothing had been."""
    line.sendall(bytes([0x02, 3]) + b"abc" + frame(struct.pack(">H", 1) + b"\xff\xff", CLOSE))
    for_ever(line, stream(parent, "still here\n"))


@case(ANSWERS)
def endless_fragments(line: socket.socket, parent: str) -> None:
    line.sendall(bytes([0x02, 126]) + struct.pack(">H", 60000) + b"x" * 60000)
    for_ever(line, bytes([0x00, 126]) + struct.pack(">H", 60000) + b"x" * 60000)


@case(ANSWERS)
def empty_fragments(line: socket.socket, parent: str) -> None:
    line.sendall(bytes([0x02, 0]))
    for_ever(line, bytes([0x00, 0]) * 10_000)


@case(ANSWERS)
def busy_for_ever(line: socket.socket, parent: str) -> None:
    while True:
        line.sendall(status(parent, "busy"))
        time.sleep(0.05)


@case(ANSWERS)
def idle_without_a_reply(line: socket.socket, parent: str) -> None:
    line.sendall(status(parent, "idle") * 3)


@case(ANSWERS)
def reply_without_an_idle(line: socket.socket, parent: str) -> None:
    line.sendall(reply(parent) * 3)


@case(ANSWERS)
def endless_stream(line: socket.socket, parent: str) -> None:
    for_ever(line, stream(parent, "x" * 50_000 + "\n") * 20)


@case(ANSWERS)
def tiny_messages(line: socket.socket, parent: str) -> None:
    for_ever(line, (stream(parent, "") + stream("0" * 32, "x") + status(parent, "busy")) * 300)


@case(ANSWERS)
def clearing(line: socket.socket, parent: str) -> None:
    clear = frame(message("iopub", "clear_output", {"wait": False}, parent))
    for_ever(line, (stream(parent, "x" * 1000) + clear) * 300)


@case(ANSWERS)
def updating(line: socket.socket, parent: str) -> None:
    line.sendall(shown(parent, {"text/html": "a"}, transient={"display_id": "x"}) * 50)
    data: dict[str, object] = {"text/html": "y" * 100_000}
    for_ever(line, shown(parent, data, "update_display_data", transient={"display_id": "x"}) * 10)


@case(ANSWERS)
def endless_after_the_reply(line: socket.socket, parent: str) -> None:
    line.sendall(reply(parent))
    while True:
        line.sendall(stream(parent, "and another thing\n"))
        time.sleep(0.05)


@case(ANSWERS)
def many_pictures(line: socket.socket, parent: str) -> None:
    one = shown(parent, {"image/png": base64.b64encode(os.urandom(300)).decode()})
    for _ in range(100):
        line.sendall(one * 1000)
    line.sendall(end(parent))


@case(ANSWERS)
def huge_picture(line: socket.socket, parent: str) -> None:
    line.sendall(shown(parent, {"image/png": "A" * (64 * 2**20)}) + end(parent))


@case(ANSWERS)
def large_lists(line: socket.socket, parent: str) -> None:
    content = b'{"name":"stdout","text":[' + b"1," * 10_000_000 + b"1]}"
    for _ in range(10):
        line.sendall(frame(message("iopub", "stream", None, parent, content)))
    line.sendall(end(parent))


@case(ANSWERS)
def never_closes(line: socket.socket, parent: str) -> None:
    """End the cell as an honest one would; the close that follows is read, and never answered."""
    line.sendall(stream(parent, "asked\n") + end(parent))


@case(ANSWERS)
def other_peoples_answers(line: socket.socket, parent: str) -> None:
    line.sendall(status(parent, "idle") + reply("0" * 32) + stream("0" * 32, "not yours"))
    line.sendall(frame(message("stdin", "input_request", {"prompt": "your password?"}, parent)))
    line.sendall(frame(message("iopub", "comm_open", {"comm_id": "x"}, parent)))
    line.sendall(stream(parent, "mine") + reply(parent) + reply(parent) + status(parent, "idle"))
    line.sendall(stream(parent, "too late") * 100)


@case(ANSWERS)
def answers_the_last_cell(line: socket.socket, parent: str) -> None:
    """Say to each cell what was meant for the one before it, then its own number."""
    if EARLIER:
        line.sendall(stream(EARLIER[-1], "for the last cell") + end(EARLIER[-1]))
    EARLIER.append(parent)
    line.sendall(stream(parent, f"cell {len(EARLIER)}") + end(parent))


EARLIER: list[str] = []


@case(ANSWERS)
def odd_messages(line: socket.socket, parent: str) -> None:
    """Send what is valid as JSON and makes no sense, between two outputs that do."""
    line.sendall(stream(parent, "before\n"))
    for kind in ("evil_event", "__proto__", "cell_finished", "stream" * 1000, "", "../stream"):
        line.sendall(frame(message("iopub", kind, {"name": "stdout", "text": "unknown type"}, parent)))
    for channel in ("iopub/../shell", "control", "", "stdout"):
        line.sendall(frame(message(channel, "stream", {"name": "stdout", "text": "unknown channel"}, parent)))
    for content in (
        b'{"name":"stdout"}',
        b'{"text":"no name"}',
        b'{"name":"stdout","text":["a","list"]}',
        b'{"name":["stdout"],"text":"x"}',
        b'{"name":"__proto__","text":"x"}',
        b'{"name":"stdin","text":"x"}',
    ):
        line.sendall(frame(message("iopub", "stream", None, parent, content)))
    for parent_id in ("../../containers/x/start", "\x00", "x" * 100_000, ""):
        line.sendall(stream(parent_id, "for nobody"))
    twice = b'{"name":"stderr","text":"first","name":"stdout","text":"the last of two keys counts\\n"}'
    line.sendall(frame(message("iopub", "stream", None, parent, twice)))
    halves = b'{"name":"stdout","text":"half \\ud800 and \xff\\n"}'
    line.sendall(frame(message("iopub", "stream", None, parent, halves)))
    payload = {"status": "ok", "execution_count": -5, "payload": [{"source": "set_next_input", "text": "import os"}]}
    line.sendall(frame(message("shell", "execute_reply", {"status": "fine"}, parent)))
    line.sendall(stream(parent, "after\n") + frame(message("shell", "execute_reply", payload, parent)))
    line.sendall(status(parent, "exploded") + status(parent, "idle"))


@case(ANSWERS)
def odd_outputs(line: socket.socket, parent: str) -> None:
    """Show what no page should get, and one thing that it should."""
    many: dict[str, object] = {f"text/x-{number}": "x" for number in range(200)}
    line.sendall(shown(parent, many))
    line.sendall(shown(parent, {"application/javascript": "alert(1)", "application/vnd.jupyter.widget-view+json": {}}))
    line.sendall(shown(parent, {"text/html": ["not", "a", "text"], "image/png": 7, "application/json": "text"}))
    line.sendall(shown(parent, {"__proto__": {"x": 1}, "constructor": "x", "text/plain": "kept \x1b]8;;http://x\x07"}))
    line.sendall(shown(parent, {"application/json": {"__proto__": {"deep": [[[]]]}}}, "execute_result"))
    line.sendall(shown(parent, {"text/plain": "x"}, "update_display_data", transient={"display_id": "../../x"}))
    nested: object = 1
    for _ in range(500):
        nested = [nested]
    line.sendall(shown(parent, {"application/json": {"deep": nested}}))
    line.sendall(end(parent))


@case(GREETINGS)
def no_answer(line: socket.socket) -> None:
    time.sleep(600)


@case(GREETINGS)
def slow_loris(line: socket.socket) -> None:
    for letter in b"HTTP/1.1 101 Switching Protocols\r\nX-More: " + b"x" * 10_000:
        line.sendall(bytes([letter]))
        time.sleep(0.1)


@case(GREETINGS)
def endless_headers(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
    for_ever(line, b"X-More: " + b"x" * 1000 + b"\r\n")


@case(GREETINGS)
def huge_status_line(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 101 ")
    for_ever(line, b"Switching " * 1000)


@case(GREETINGS)
def continue_flood(line: socket.socket) -> None:
    for_ever(line, b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


@case(GREETINGS)
def chunked_for_ever(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for_ever(line, b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


@case(GREETINGS)
def redirect(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 302 Found\r\nLocation: ws://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")


@case(GREETINGS)
def gzip_bomb(line: socket.socket) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n"
    line.sendall(head + b"\x1f\x8b" * 2**20)


@case(RESTARTS)
def restart_continue_flood(line: socket.socket) -> None:
    continue_flood(line)


@case(RESTARTS)
def restart_huge_status_line(line: socket.socket) -> None:
    huge_status_line(line)


@case(RESTARTS)
def restart_redirect(line: socket.socket) -> None:
    redirect(line)


def converse(line: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(65536)
    if head.startswith(b"POST"):
        answer = RESTARTS.get(CASE, lambda line: line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
        answer(line)
        return
    if CASE in GREETINGS:
        GREETINGS[CASE](line)
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
        kind, parent = next_request(line, heed_close=CASE != "never-closes")
        if kind == "execute_request":
            ANSWERS[CASE](line, parent)
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
