"""The bridge in a sandbox, between our own connection and a kernel that is played here, on real sockets."""

import asyncio
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import SandboxUnavailable
from orchestrator.kernel.connection import KernelConnection, Lost
from orchestrator.kernel.frames import parse_frame, serialize_frame
from orchestrator.kernel.messages import Reply, State, Stream
from sandbox_image import glovebox_bridge as bridge
from sandbox_image import glovebox_wire as wire
from sandbox_image.glovebox_interrupts import Interrupts

TOKEN, KERNEL_ID = "t0k3n", str(uuid.uuid4())


class PlayedKernel:
    """A kernel's connection, and what it does with a request: it answers, prints its code, or dies of it."""

    def __init__(self, path: Path, pipe: int) -> None:
        self._path, self._pipe = path, pipe
        self._life: asyncio.Task[None] | None = None

    def start(self) -> None:
        os.write(self._pipe, b"born %d\n" % os.getpid())
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self._path)
        self._writer.write(wire.hello(os.getpid()))
        os.write(self._pipe, b"ready\n")
        read = b""
        while data := await reader.read(65536):
            read += data
            while (frame := wire.frame_at(read, 0)) is not None:
                request, read = read[frame[0] : frame[1]], read[frame[1] :]
                if self._answer(*wire.unpacked(request)):
                    await self._die()
                    return

    def say(self, kind: str, content: dict[str, Any], parent: bytes, channel: str = "iopub") -> None:
        self._writer.write(wire.packed(channel, wire.parts_of(kind, content, parent)))

    def _answer(self, channel: str, parts: list[bytes]) -> bool:
        kind, asked = json.loads(parts[0])["msg_type"], json.loads(parts[3])
        code = asked.get("code", "")
        if kind == "shutdown_request" or code == "die":
            self.say("stream", {"name": "stdout", "text": "last words"}, parts[0])
            self._writer.write(wire.packed("iopub", wire.parts_of("stream", {}))[:30])  # cut off amidst the next ones
            return True
        for number in range(200 if code == "much" else 0):
            self.say("stream", {"name": "stdout", "text": f"{number} ".ljust(200_000)}, parts[0])
        self.say("stream", {"name": "stdout", "text": code}, parts[0])
        self.say("execute_reply", {"status": "ok", "execution_count": 1}, parts[0], channel)
        self.say("status", {"execution_state": "idle"}, parts[0])
        return False

    async def _die(self) -> None:
        self._writer.close()
        os.write(self._pipe, b"died\n")
        await asyncio.sleep(0.05)
        self.start()

    def be_gone(self) -> None:
        if self._life is not None:
            self._life.cancel()
        self._writer.close()


def a_bridge() -> bridge.Bridge:
    return bridge.Bridge(TOKEN, KERNEL_ID, Interrupts())


def door_of_kernels(folder: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(folder / "kernels"))
    door.listen()
    return door


@pytest.fixture
async def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    monkeypatch.setattr(bridge, "SHUTDOWN_S", 600)  # the kernel is this process
    heard, told = os.pipe()
    serving = asyncio.create_task(bridge.serve(a_bridge(), door_of_kernels(tmp_path), tmp_path / "gw.sock", heard))
    kernel = PlayedKernel(tmp_path / "kernels", told)
    kernel.start()
    try:
        yield tmp_path
    finally:
        kernel.be_gone()
        os.close(told)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


@asynccontextmanager
async def connected(run_folder: Path, token: str = TOKEN) -> AsyncIterator[KernelConnection]:
    connection = KernelConnection(run_folder, os.getuid(), token, KERNEL_ID)
    await connection.open(5)
    try:
        yield connection
    finally:
        await connection.close("The test is over.")


async def heard_of(connection: KernelConnection, code: str) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(30), connection.executing(code) as heard:
        while not found or not (isinstance(found[-1], Lost) or (State("idle") in found and any_reply(found))):
            found.append(await heard.get())
    return found


def any_reply(found: list[Any]) -> bool:
    return any(isinstance(one, Reply) for one in found)


async def test_a_cell_goes_in_and_its_messages_come_out(run_folder: Path) -> None:
    async with connected(run_folder) as connection:
        assert Stream("stdout", "print") in await heard_of(connection, "print")
        assert (run_folder / "gw.sock").stat().st_mode & 0o777 == 0o600


async def test_a_kernel_that_dies_says_its_last_words_and_is_told_dead(run_folder: Path) -> None:
    async with connected(run_folder) as connection:
        *words, lost = await heard_of(connection, "die")
        assert words == [Stream("stdout", "last words")]
        assert lost == Lost("The kernel died.", gateway_lives=True)
    async with connected(run_folder) as connection:
        assert Stream("stdout", "again") in await heard_of(connection, "again")


async def test_a_kernel_that_says_much_waits_for_whoever_is_slow_to_listen(run_folder: Path) -> None:
    async with connected(run_folder) as connection, connection.executing("much") as heard:
        async with asyncio.timeout(60):
            found = [await heard.get() for _ in range(200)]
        assert [int(said.text) for said in found if isinstance(said, Stream)] == list(range(200))


async def test_what_is_said_while_nobody_listens_is_for_whoever_comes_next(run_folder: Path) -> None:
    async with connected(run_folder) as first:
        await first._send("shell", "execute_request", "the cell", {"code": "print"})
    second = KernelConnection(run_folder, os.getuid(), TOKEN, KERNEL_ID)
    await second.open(5, expecting="the cell")
    async with asyncio.timeout(30), second.heard_of("the cell") as heard:
        assert await heard.get() == Stream("stdout", "print")
    await second.close("The test is over.")


async def test_a_restart_is_answered_when_the_next_kernel_is_there(run_folder: Path) -> None:
    async with connected(run_folder) as connection:
        await connection.restart()
    async with connected(run_folder) as connection:
        assert Stream("stdout", "again") in await heard_of(connection, "again")


async def test_who_has_no_token_is_not_let_in(run_folder: Path) -> None:
    async with connected(run_folder):  # it is up
        with pytest.raises(SandboxUnavailable):
            async with connected(run_folder, "another"):
                pass


async def test_the_last_to_connect_is_the_one_that_is_served(run_folder: Path) -> None:
    async with connected(run_folder) as first, connected(run_folder) as second:
        assert Stream("stdout", "print") in await heard_of(second, "print")
        async with asyncio.timeout(30):
            while first.usable:
                await asyncio.sleep(0.01)


async def test_kernels_that_never_get_ready_end_the_bridge(tmp_path: Path) -> None:
    heard, told = os.pipe()
    os.write(told, b"born 1\ndied\n" * bridge.STILLBORN)
    async with asyncio.timeout(30):
        await bridge.serve(a_bridge(), door_of_kernels(tmp_path), tmp_path / "gw.sock", heard)
    os.close(told)


def test_messages_are_those_that_the_orchestrator_writes_and_reads() -> None:
    channel, parts = wire.unpacked(serialize_frame("shell", {"msg_id": "1"}, {"code": "x"}))
    assert channel == "shell"
    assert [json.loads(part) for part in parts] == [{"msg_id": "1"}, {}, {}, {"code": "x"}]
    framed = wire.packed("iopub", [*parts, b"a buffer"])
    found = wire.frame_at(framed, 0)
    assert found is not None
    frame = parse_frame(framed[found[0] : found[1]])
    assert (frame.channel, frame.header, frame.content) == ("iopub", {"msg_id": "1"}, {"code": "x"})


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 100_000])
def test_a_frame_is_found_when_it_is_whole(size: int) -> None:
    framed = b"before" + wire.framed(bytes(size)) + b"after"
    assert wire.frame_at(framed, 6) == (len(framed) - 5 - size, len(framed) - 5)
    for end in {6, 7, 8, 9, 14, len(framed) - 6} - set(range(len(framed) - 5, 20)):
        assert wire.frame_at(framed[:end], 6) is None


@pytest.mark.parametrize("message", [b"", b"\xff" * 32, b"\x06" + bytes(7), bytes(64), b"\x41" + bytes(1000)])
def test_messages_without_a_proper_table_are_refused(message: bytes) -> None:
    with pytest.raises(wire.BadFrame):
        wire.unpacked(message)
