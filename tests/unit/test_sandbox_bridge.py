"""The bridge in a sandbox, between our own connection and a kernel that is played here, on real sockets."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from orchestrator.errors import SandboxUnavailable
from orchestrator.kernel.connection import KernelConnection, Lost
from orchestrator.kernel.frames import parse_frame, serialize_frame
from orchestrator.kernel.messages import Reply, State, Stream
from sandbox_image import glovebox_bridge as bridge
from sandbox_image import glovebox_channels as channels

TOKEN, KERNEL_ID = "t0k3n", str(uuid.uuid4())


class PlayedKernel:
    """A kernel's sockets, and what it does with a request: it answers, prints its code, or dies of it."""

    def __init__(self, folder: Path, pipe: int) -> None:
        self._context = zmq.asyncio.Context()
        self._name, self._pipe = folder / "k", pipe
        self._tasks: list[asyncio.Task[None]] = []
        self._again: asyncio.TimerHandle | None = None
        self.welcomes = True

    def start(self) -> None:
        kinds = {"shell": zmq.ROUTER, "control": zmq.ROUTER, "stdin": zmq.ROUTER, "iopub": zmq.XPUB}
        self.sockets = {channel: self._context.socket(kind) for channel, kind in kinds.items()}
        os.write(self._pipe, b"born 999999999\n")
        for channel, socket in self.sockets.items():
            socket.bind(f"ipc://{self._name}-{channels.PORTS[channel]}")
        os.write(self._pipe, b"ready\n")
        self._tasks = [asyncio.create_task(self.answer(channel)) for channel in ("shell", "control")]
        self._tasks.append(asyncio.create_task(self.welcome()))

    async def welcome(self) -> None:
        await self.sockets["iopub"].recv()
        if self.welcomes:
            await self.put_out("iopub_welcome", {}, b"{}")

    async def put_out(self, kind: str, content: dict[str, Any], parent: bytes) -> None:
        _, _, metadata, body = channels.message(kind, content)
        header = channels.message(kind, content)[0]
        await self.sockets["iopub"].send_multipart([b"topic", channels.DELIMITER, b"", header, parent, metadata, body])

    async def answer(self, channel: str) -> None:
        while True:
            identity, *_, header, _, _, content = await self.sockets[channel].recv_multipart()
            kind, asked = json.loads(header)["msg_type"], json.loads(content)
            if kind == "shutdown_request" or asked.get("code") == "die":
                await self.put_out("stream", {"name": "stdout", "text": "last words"}, header)
                asyncio.get_running_loop().call_soon(self.die)
                return
            await self.put_out("status", {"execution_state": "busy"}, header)
            await self.put_out("stream", {"name": "stdout", "text": asked.get("code", "")}, header)
            reply = channels.message("execute_reply", {"status": "ok", "execution_count": 1})
            parts = [identity, channels.DELIMITER, b"", reply[0], header, b"{}", reply[3]]
            await self.sockets[channel].send_multipart(parts)
            await self.put_out("status", {"execution_state": "idle"}, header)

    def die(self) -> None:
        self.stop()
        os.write(self._pipe, b"died\n")
        self._again = asyncio.get_running_loop().call_later(0.05, self.start)

    def be_gone(self) -> None:
        """Leave no socket behind: one that nobody closes can hold up the whole run when it is collected."""
        if self._again is not None:
            self._again.cancel()
        self._context.destroy(linger=0)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for socket in self.sockets.values():
            socket.close(linger=1000)


@pytest.fixture(params=[True, False], ids=["welcoming", "silent"])
async def run_folder(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    heard, told = os.pipe()
    kernel = PlayedKernel(tmp_path, told)
    kernel.welcomes = request.param
    serving = asyncio.create_task(bridge.serve(TOKEN, KERNEL_ID, str(tmp_path / "k"), tmp_path / "gw.sock", heard))
    kernel.start()
    try:
        yield tmp_path
    finally:
        os.close(told)
        kernel.stop()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        kernel.be_gone()


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
        await bridge.serve(TOKEN, KERNEL_ID, str(tmp_path / "k"), tmp_path / "gw.sock", heard)
    os.close(told)


def test_frames_are_those_that_the_orchestrator_writes_and_reads() -> None:
    channel, parts = channels.parse_frame(serialize_frame("shell", {"msg_id": "1"}, {"code": "x"}))
    assert channel == "shell"
    assert [json.loads(part) for part in parts] == [{"msg_id": "1"}, {}, {}, {"code": "x"}]
    frame = parse_frame(b"".join(channels.frame_of("iopub", [*parts, b"a buffer"])))
    assert (frame.channel, frame.header, frame.content) == ("iopub", {"msg_id": "1"}, {"code": "x"})


@pytest.mark.parametrize("frame", [b"", b"\xff" * 32, b"\x06" + bytes(7), bytes(64), b"\x41" + bytes(1000)])
def test_frames_without_a_proper_table_are_refused(frame: bytes) -> None:
    with pytest.raises(channels.BadFrame):
        channels.parse_frame(frame)
