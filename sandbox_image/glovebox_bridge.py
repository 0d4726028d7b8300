"""The gateway of a sandbox: one process that carries messages between the orchestrator and the kernel.

It answers on the socket `gw.sock` to one token and for one kernel: a WebSocket to the kernel's channels, and the
request for a restart. Nothing is stored. What the orchestrator does not take, the kernel has to wait with, also while
the orchestrator is away: whoever connects next gets what came since. Of the kernel's life it is told on a pipe, by the
kernel and by whoever keeps it (`glovebox_gateway`): `born <pid>`, `ready`, `died`.
"""

import asyncio
import hmac
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from glovebox_channels import BadFrame, Channels, frame_of, message, parse_frame
from glovebox_door import HEAD_BYTES, BadRequest, Request, WebSocket, answer, read_request
from glovebox_packages import is_offered

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
FORWARDER = [sys.executable, "-I", "-S", "/opt/glovebox/egress_forwarder.py"]
FORWARDER_PAUSE_S = 1.0
EGRESS_ADDRESS, EGRESS_BACKLOG = ("127.0.0.1", 3128), 128
SHUTDOWN_S = 1.0  # what the clean-up of the user's own code may take at a restart; a kernel that is busy is killed then
RESTART_S = 20.0
LAST_WORDS_S, LONGEST_LAST_WORDS_S = 0.03, 2.0
STILLBORN = 5  # so many kernels in a row that never get ready: only a new container can help


class Bridge:
    """The kernel of the moment, and the one connection to it."""

    def __init__(self, token: str, kernel_id: str, sockets: str) -> None:
        self._token = token
        self._path = f"/api/kernels/{kernel_id}"
        self._sockets = sockets
        self._pid = 0
        self._channels: Channels | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._died = asyncio.Event()
        self._stillborn = 0
        self._restarting = False
        self._carried = 0
        self._client: WebSocket | None = None
        self._connected = asyncio.Event()
        self._was_connected = False

    async def follow(self, told: asyncio.StreamReader) -> None:
        """Follow the lives of kernels, until nobody keeps them any more or they are all stillborn."""
        while self._stillborn < STILLBORN and (line := await told.readline()):
            match line.split():
                case [b"born", pid]:
                    self._pid = int(pid)
                    self._died.clear()
                case [b"ready"]:
                    self._stillborn = 0
                    self._carrying = asyncio.create_task(self._carry())
                case [b"died"]:
                    self._stillborn += 1
                    await self._mourn()

    async def listen(self, path: Path) -> asyncio.Server:
        """Open the door. It is opened when the first kernel is ready, so that whoever connects finds it."""
        await self._ready.wait()
        path.unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        door.bind(str(path))
        os.umask(before)
        return await asyncio.start_unix_server(self._serve, sock=door, limit=HEAD_BYTES)

    async def _carry(self) -> None:
        """Connect to a kernel, and pass on what it says until it is gone."""
        self._channels = channels = Channels(self._sockets)
        await channels.hear_the_kernel()
        self._ready.set()
        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(self._pass_on(channels, channel))

    async def _pass_on(self, channels: Channels, channel: str) -> None:
        while True:
            messages = await channels.receive(channel)
            self._carried += len(messages)
            await self._hand_over([frame_of(channel, parts) for parts in messages])

    async def _hand_over(self, frames: list[list[bytes]]) -> None:
        """Give messages to whoever is connected, or will be; before anybody was, they are for nobody."""
        while self._was_connected:
            await self._connected.wait()
            if await self._tell(frames):
                return

    async def _tell(self, frames: list[list[bytes]]) -> bool:
        """Send messages to whoever is connected, and tell whether somebody is."""
        client = self._client
        if client is not None:
            try:
                await client.send(frames)
            except OSError:  # it has gone
                self._forget(client)
                return False
        return client is not None

    def _forget(self, client: WebSocket) -> None:
        if self._client is client:
            self._client = None
            self._connected.clear()

    async def _mourn(self) -> None:
        """Pass on a dead kernel's last words, and say that it is dead, unless somebody wanted it so."""
        if not self._restarting:
            await self._hear_last_words()
        self._ready.clear()
        await self.let_go()
        self._died.set()
        if not self._restarting:
            await self._tell([frame_of("iopub", message("status", {"execution_state": "restarting"}))])

    async def let_go(self) -> None:
        """Close the channels: sockets that nobody closes would hold up whoever collects them."""
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)
            self._carrying = None
        if self._channels is not None:
            self._channels.close()
            self._channels = None

    async def _hear_last_words(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_LAST_WORDS_S):
                before = -1
                while before != self._carried:
                    before = self._carried
                    await asyncio.sleep(LAST_WORDS_S)

    async def restart(self) -> None:
        """End the kernel; returns when there is another."""
        await self._ready.wait()
        self._restarting = True
        try:
            if self._channels is not None:
                await self._channels.send("control", message("shutdown_request", {"restart": True}))
            with suppress(TimeoutError):
                async with asyncio.timeout(SHUTDOWN_S):
                    await self._died.wait()
            if not self._died.is_set():
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
                await self._died.wait()
            await self._ready.wait()
        finally:
            self._restarting = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(BadRequest, BadFrame, OSError, asyncio.IncompleteReadError):
                await self._answer(await read_request(reader), reader, writer)
        finally:
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, f"token {self._token}".encode("ascii")):
            answer(writer, 401)
        elif (request.method, request.path) == ("POST", f"{self._path}/restart"):
            answer(writer, 200 if await self._restarted_in_time() else 503)
        elif (request.method, request.path) == ("GET", f"{self._path}/channels"):
            await self._connect(request, WebSocket(reader, writer))
        else:
            answer(writer, 404)

    async def _restarted_in_time(self) -> bool:
        try:
            async with asyncio.timeout(RESTART_S):
                await self.restart()
        except TimeoutError:
            return False
        return True

    async def _connect(self, request: Request, client: WebSocket) -> None:
        """Serve a connection to the kernel; the one before it is over."""
        await self._ready.wait()
        client.accept(request, SUBPROTOCOL)
        if self._client is not None:
            self._client.abort()
        self._client = client
        self._was_connected = True
        self._connected.set()
        try:
            async for frame in client.messages():
                channel, parts = parse_frame(frame)
                await self._ready.wait()
                if self._channels is not None and channel in ("shell", "control", "stdin"):
                    await self._channels.send(channel, parts)
        finally:
            self._forget(client)


async def offer_egress(listener: socket.socket) -> None:
    """Keep the process that offers the session's egress proxy to programs; until it is up, they wait at the door."""
    number = listener.fileno()
    while True:
        forwarder = await asyncio.create_subprocess_exec(*FORWARDER, str(number), pass_fds=[number])
        await forwarder.wait()
        await asyncio.sleep(FORWARDER_PAUSE_S)


async def serve(token: str, kernel_id: str, sockets: str, door: Path, pipe: int) -> None:
    """Serve until whoever keeps the kernel is gone."""
    bridge = Bridge(token, kernel_id, sockets)
    told = asyncio.StreamReader()
    with os.fdopen(pipe, "rb") as source:
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), source)
        try:
            async with asyncio.TaskGroup() as group:
                others: list[asyncio.Task[object]] = [group.create_task(bridge.listen(door))]
                if is_offered():
                    # Before the door opens: the first cell may use it at once.
                    listener = socket.create_server(EGRESS_ADDRESS, backlog=EGRESS_BACKLOG)
                    others.append(group.create_task(offer_egress(listener)))
                await bridge.follow(told)
                for task in others:
                    task.cancel()
        finally:
            await bridge.let_go()
