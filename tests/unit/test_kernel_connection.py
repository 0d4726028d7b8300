"""One WebSocket to one kernel, against a small gateway on a real unix socket that is good or evil as a test says."""

import asyncio
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.typing import Subprotocol

from orchestrator.errors import SandboxLost, SandboxUnavailable
from orchestrator.kernel.connection import KernelConnection, Lost
from orchestrator.kernel.frames import SUBPROTOCOL, Frame, parse_frame
from orchestrator.kernel.messages import Message, Reply, State, Stream

TOKEN, KERNEL_ID = "t0ken", "0b5c6d1e-0000-4000-8000-000000000001"
DEADLINE_S = 60.0
Script = Callable[[ServerConnection, Frame], Awaitable[None]]


def packed(channel: str, kind: str, content: dict[str, Any], parent: str | None) -> bytes:
    """Lay out a message of the kernel as a frame."""
    parents = {} if parent is None else {"msg_id": parent}
    parts = [channel.encode(), *(json.dumps(part).encode() for part in ({"msg_type": kind}, parents, {}, content))]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def printed(text: str, parent: str | None) -> bytes:
    return packed("iopub", "stream", {"name": "stdout", "text": text}, parent)


def state(name: str, parent: str | None) -> bytes:
    return packed("iopub", "status", {"execution_state": name}, parent)


def reply(parent: str | None) -> bytes:
    return packed("shell", "execute_reply", {"status": "ok", "execution_count": 1}, parent)


class Gateway:
    """Serves one kernel; what it answers to a cell is up to the test."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Frame] = []
        self.paths: list[str] = []
        self.headers: list[Any] = []
        self.silent = False

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.headers.append(socket.request.headers)
        async for data in socket:
            assert isinstance(data, bytes)
            frame = parse_frame(data)
            if frame.header["msg_type"] == "kernel_info_request":
                if not self.silent:
                    await socket.send(state("busy", frame.header["msg_id"]))
                    await socket.send(state("idle", frame.header["msg_id"]))
                continue
            self.requests.append(frame)
            await self.script(socket, frame)


async def nothing(_socket: ServerConnection, _frame: Frame) -> None:
    """Answer nothing."""


@asynccontextmanager
async def gateway(run: Path, script: Script = nothing, subprotocol: str | None = SUBPROTOCOL) -> AsyncIterator[Gateway]:
    made = Gateway(script)
    offered = None if subprotocol is None else [Subprotocol(subprotocol)]

    def choose(_connection: ServerConnection, _offers: Any) -> Subprotocol | None:
        return offered[0] if offered else None

    async with unix_serve(made.serve, run / "gw.sock", subprotocols=offered, select_subprotocol=choose, max_size=None):
        yield made


@asynccontextmanager
async def connected(run: Path) -> AsyncIterator[KernelConnection]:
    connection = KernelConnection(run, os.getuid(), TOKEN, KERNEL_ID)
    await connection.open(DEADLINE_S)
    try:
        yield connection
    finally:
        await connection.close("The test is over.")


async def hear(heard: "asyncio.Queue[Message | Lost]", count: int) -> list[Message | Lost]:
    async with asyncio.timeout(DEADLINE_S):
        return [await heard.get() for _ in range(count)]


async def the_end(heard: "asyncio.Queue[Message | Lost]") -> str:
    """Return why a request was lost."""
    async with asyncio.timeout(DEADLINE_S):
        while not isinstance(message := await heard.get(), Lost):
            continue
    return message.reason


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_cell_goes_out_and_its_messages_come_back(run: Path) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        parent = frame.header["msg_id"]
        for data in (state("busy", parent), printed("2\n", parent), reply(parent), state("idle", parent)):
            await socket.send(data)

    async with gateway(run, script) as kernel, connected(run) as connection:
        async with connection.executing("1+1  # 数\ud800") as heard:
            assert await hear(heard, 4) == [State("busy"), Stream("stdout", "2\n"), Reply("ok", 1), State("idle")]
        (request,) = kernel.requests
        assert (request.channel, request.header["msg_type"]) == ("shell", "execute_request")
        assert request.content["code"] == "1+1  # 数\ud800"
        assert (request.content["allow_stdin"], request.content["silent"]) == (False, False)
        (path,), (headers,) = kernel.paths, kernel.headers
        assert path == f"/api/kernels/{KERNEL_ID}/channels?session_id={request.header['session']}"
        assert headers["Authorization"] == f"token {TOKEN}"
        assert "Sec-WebSocket-Extensions" not in headers  # no compression, so no bombs


async def test_messages_for_other_requests_are_dropped_and_counted(run: Path) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        for parent in (None, "", "somebody else's", frame.header["session"]):
            await socket.send(printed("not for you", parent))
        await socket.send(packed("iopub", "comm_open", {}, frame.header["msg_id"]))
        await socket.send(packed("stdin", "input_request", {"prompt": "Password:"}, frame.header["msg_id"]))
        await socket.send(reply(frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection:
        before = connection.dropped
        async with connection.executing("1") as heard:
            assert await hear(heard, 1) == [Reply("ok", 1)]
        assert connection.dropped - before == 6


async def test_what_comes_late_for_one_cell_never_reaches_the_next(run: Path) -> None:
    seen: list[str] = []

    async def script(socket: ServerConnection, frame: Frame) -> None:
        seen.append(frame.header["msg_id"])
        await socket.send(printed(f"late {len(seen)}", seen[0]))
        await socket.send(reply(seen[-1]))

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("1") as heard:
            assert await hear(heard, 2) == [Stream("stdout", "late 1"), Reply("ok", 1)]
        async with connection.executing("2") as heard:
            assert await hear(heard, 1) == [Reply("ok", 1)]
        assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("text", "broke the protocol (a text frame)"),
        (b"", "broke the protocol (shorter than its own count)"),
        (b"\xff" * 32, "broke the protocol (18446744073709551615 offsets"),
        (printed("a", None)[:-1], "broke the protocol (the offsets do not cover the frame)"),
        (printed("a", None).replace(b'"a"', b"NaN"), "broke the protocol (no valid JSON"),
    ],
)
async def test_a_frame_that_breaks_the_protocol_ends_the_connection(run: Path, sent: str | bytes, reason: str) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        await socket.send(sent)
        await socket.send(reply(frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("1") as heard:
            assert reason in await the_end(heard)
        assert not connection.usable
        with pytest.raises(SandboxLost):
            async with connection.executing("2"):
                pass


@pytest.mark.parametrize("how", ["close", "abort", "going away"])
async def test_a_gateway_that_goes_away_is_told_as_lost(run: Path, how: str) -> None:
    async def script(socket: ServerConnection, _: Frame) -> None:
        if how == "abort":
            socket.transport.abort()
        else:
            await socket.close(1000 if how == "close" else 1001)

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("1") as heard:
            assert "sandbox" in (await the_end(heard)).lower()
        assert not connection.usable


@pytest.mark.parametrize("name", ["restarting", "dead"])
@pytest.mark.parametrize("parent", [None, "any"])
async def test_a_kernel_that_died_is_told_to_all_that_wait(run: Path, name: str, parent: str | None) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        if frame.content["code"] == "die":
            await socket.send(state(name, parent))

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("wait") as one, connection.executing("die") as other:
            assert [await the_end(one), await the_end(other)] == ["The kernel died."] * 2
        assert not connection.usable


async def test_a_kernel_that_only_starts_is_not_lost(run: Path) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        await socket.send(state("starting", None))
        await socket.send(reply(frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("1") as heard:
            assert await hear(heard, 1) == [Reply("ok", 1)]
        assert connection.usable


async def test_a_message_that_is_too_large_ends_the_connection(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.kernel.connection.GATEWAY_MESSAGE_BYTES", 2**20)

    async def script(socket: ServerConnection, frame: Frame) -> None:
        await socket.send(printed("x" * 1_000_000, frame.header["msg_id"]))
        with suppress(Exception):
            await socket.send(printed("x" * 1_100_000, frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection, connection.executing("1") as heard:
        assert await hear(heard, 1) == [Stream("stdout", "x" * 1_000_000)]
        assert "larger than 1 MiB" in await the_end(heard)


async def test_a_flood_waits_until_somebody_takes_it(run: Path) -> None:
    sent = 0

    async def script(socket: ServerConnection, frame: Frame) -> None:
        nonlocal sent
        for sent in range(1, 3001):  # noqa: B007
            await socket.send(printed("x" * 10_000, frame.header["msg_id"]))
        await socket.send(reply(frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection, connection.executing("1") as heard:
        await asyncio.sleep(0.2)
        assert sent < 1000  # the gateway is slowed down, and what waits here is bounded
        assert heard.qsize() <= 256
        assert (await hear(heard, 3001))[-1] == Reply("ok", 1)


async def test_a_flood_that_nobody_takes_any_more_does_not_block_the_next_cell(run: Path) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        for _ in range(1000 if frame.content["code"] == "flood" else 0):
            await socket.send(printed("x", frame.header["msg_id"]))
        await socket.send(reply(frame.header["msg_id"]))

    async with gateway(run, script), connected(run) as connection:
        async with connection.executing("flood") as heard:
            await hear(heard, 1)
        async with connection.executing("1") as heard:
            assert await hear(heard, 1) == [Reply("ok", 1)]


async def test_the_end_is_heard_even_when_nobody_took_the_flood_before_it(run: Path) -> None:
    async def script(socket: ServerConnection, frame: Frame) -> None:
        for _ in range(256):
            await socket.send(printed("x", frame.header["msg_id"]))
        await socket.send(state("dead", None))

    async with gateway(run, script), connected(run) as connection, connection.executing("1") as heard:
        while connection.usable:
            await asyncio.sleep(0.01)
        assert await the_end(heard) == "The kernel died."


async def test_closing_tells_those_who_wait_why(run: Path) -> None:
    async with gateway(run), connected(run) as connection, connection.executing("1") as heard:
        await connection.close("The session was deleted.")
        assert await the_end(heard) == "The session was deleted."


async def test_an_interrupt_goes_over_the_control_channel(run: Path) -> None:
    async with gateway(run) as kernel, connected(run) as connection:
        await connection.interrupt()
        while not kernel.requests:
            await asyncio.sleep(0.01)
        assert (kernel.requests[0].channel, kernel.requests[0].header["msg_type"]) == ("control", "interrupt_request")


@pytest.mark.parametrize("subprotocol", [None, "v2.kernel.websocket.jupyter.org"])
async def test_a_gateway_that_speaks_another_protocol_is_refused(run: Path, subprotocol: str | None) -> None:
    async with gateway(run, subprotocol=subprotocol):
        with pytest.raises(SandboxUnavailable):
            async with connected(run):
                pass


async def test_a_kernel_that_says_nothing_is_given_up_at_the_deadline(run: Path) -> None:
    async with gateway(run) as kernel:
        kernel.silent = True
        connection = KernelConnection(run, os.getuid(), TOKEN, KERNEL_ID)
        with pytest.raises(SandboxUnavailable, match="its kernel says nothing"):
            await connection.open(0.3)
        assert not connection.usable


@asynccontextmanager
async def raw_gateway(
    run: Path, answer: bytes, *, endless: bytes = b"", hang: bool = False
) -> AsyncIterator[list[bytes]]:
    """Answer every request with these very bytes; yield what was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            while endless:
                writer.write(endless)
                await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(serve, run / "gw.sock"):
        yield asked


HANDSHAKES = {
    "nothing": (b"", b"", True),
    "closes": (b"", b"", False),
    "nonsense": (b"SSH-2.0-OpenSSH\r\n\r\n", b"", False),
    "refused": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"", False),
    "no upgrade": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"", False),
    "wrong key": (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"",
        True,
    ),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: ws://localhost/" + b"x" * 5000 + b"\r\n\r\n", b"", False),
    "redirect away": (b"HTTP/1.1 307 Found\r\nLocation: http://169.254.169.254/latest\r\n\r\n", b"", False),
    "redirect to nonsense": (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", b"", False),
    "endless header": (b"HTTP/1.1 101 OK\r\nX: ", b"x" * 65_536, False),
    "endless headers": (b"HTTP/1.1 101 OK\r\n", b"X: y\r\n" * 1000, False),
    "endless body": (b"HTTP/1.1 500 No\r\n\r\n", b"x" * 65_536, False),
    "no end of line": (b"HTTP/1.1 101 OK", b"\x00" * 65_536, False),
}


@pytest.mark.parametrize("kind", list(HANDSHAKES))
async def test_a_handshake_that_is_none_ends_at_the_deadline_and_leads_nowhere(run: Path, kind: str) -> None:
    answer, endless, hang = HANDSHAKES[kind]
    async with raw_gateway(run, answer, endless=endless, hang=hang) as asked:
        began = time.monotonic()
        connection = KernelConnection(run, os.getuid(), TOKEN, KERNEL_ID)
        with pytest.raises(SandboxUnavailable) as refused:
            await connection.open(0.3)
        assert len(refused.value.detail) < 300
        assert time.monotonic() - began < 20
        assert not connection.usable
        assert len(asked) == 1


async def test_a_restart_asks_the_gateway_for_this_kernel(run: Path) -> None:
    async with raw_gateway(run, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as asked:
        await KernelConnection(run, os.getuid(), TOKEN, KERNEL_ID).restart()
    assert asked[0].startswith(f"POST /api/kernels/{KERNEL_ID}/restart HTTP/1.1\r\n".encode())
    assert f"\r\nAuthorization: token {TOKEN}\r\n".encode() in asked[0]


@pytest.mark.parametrize(
    ("answer", "endless", "reason"),
    [
        (b"HTTP/1.1 500 Broken\r\n\r\n", b"", "answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", b"", "answered 302"),
        (b"", b"", "BadReply"),
        (b"200 OK\r\n\r\n", b"", "BadReply"),
        (b"HTTP/1.1 200", b"x" * 65_536, "BadReply"),
    ],
)
async def test_a_restart_that_is_not_confirmed_is_told(run: Path, answer: bytes, endless: bytes, reason: str) -> None:
    async with raw_gateway(run, answer, endless=endless) as asked:
        with pytest.raises(SandboxUnavailable, match=reason):
            await KernelConnection(run, os.getuid(), TOKEN, KERNEL_ID).restart()
    assert len(asked) == 1
