"""The gateway of a sandbox: one process that carries messages between the orchestrator and the kernel.

It answers on the socket `gw.sock` to one token and for one kernel: a WebSocket to the kernel's channels, and the
request for a restart. What a kernel says comes in frames that are passed on as they are (`glovebox_wire`). What is
asked on the control channel the bridge does itself, so that no kernel is too busy for it: an interrupt is a signal.

Nothing is stored. What the orchestrator does not take, the kernel has to wait with, also while the orchestrator is
away: whoever connects next gets what came since. Of the kernel's life it is told on a pipe, by the kernel and by
whoever keeps it (`glovebox_gateway`): `born <pid>`, `ready`, `died`.
"""

import asyncio
import hmac
import json
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from glovebox_door import Request, Visitor
from glovebox_interrupts import Interrupts
from glovebox_mouth import Mouth
from glovebox_packages import is_offered
from glovebox_wire import framed, packed, parts_of, unpacked

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
FORWARDER = [sys.executable, "-I", "-S", "/opt/glovebox/egress_forwarder.py"]
FORWARDER_PAUSE_S = 1.0
EGRESS_ADDRESS, EGRESS_BACKLOG = ("127.0.0.1", 3128), 128
SHUTDOWN_S = 1.0  # what the clean-up of the user's own code may take at a restart; a kernel that is busy is killed then
RESTART_S = 20.0
LAST_WORDS_S = 2.0
STILLBORN = 5  # so many kernels in a row that never get ready: only a new container can help


class Bridge:
    """The kernel of the moment, and the one connection to it."""

    def __init__(self, token: str, kernel_id: str, interrupts: Interrupts) -> None:
        """Take the kernel's id and the token of whoever may ask, and what is shared with the kernel."""
        self._token = token
        self._interrupts = interrupts
        self._path = f"/api/kernels/{kernel_id}"
        self._pid = 0
        self._mouths: list[Mouth] = []
        self._kernel: Mouth | None = None
        self._requests = 0  # that the kernel was asked
        self._came = asyncio.Event()
        self._ready = asyncio.Event()
        self._died = asyncio.Event()
        self._stillborn = 0
        self._restarting = False
        self._client: Visitor | None = None
        self._was_connected = False
        self._is_held = False
        self._untaken: list[bytes] = []
        self._early: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, told: asyncio.StreamReader) -> None:
        """Follow the lives of kernels, until nobody keeps them any more or they are all stillborn."""
        while self._stillborn < STILLBORN and (line := await told.readline()):
            match line.split():
                case [b"born", pid]:
                    self._pid = int(pid)
                    self._died.clear()
                case [b"ready"]:
                    self._stillborn = 0
                    await self._meet()
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
        return await asyncio.get_running_loop().create_unix_server(lambda: Visitor(self), sock=door)

    # -- the kernel, and whoever else has something to say in its name

    def came(self, mouth: Mouth) -> None:
        """Hear that somebody in the sandbox wants to speak."""
        self._mouths.append(mouth)

    def named(self, mouth: Mouth) -> None:
        """Hear that it is a kernel."""
        self._came.set()
        self._hold_on()

    def carry(self, frames: bytes) -> None:
        """Give frames to whoever is connected, or will be; before anybody was, they are for nobody."""
        if self._client is not None:
            self._client.write(frames)
        elif self._was_connected:
            self._untaken.append(frames)
        self._hold_on()

    def left(self, mouth: Mouth) -> None:
        """Hear that it has nothing more to say."""
        self._mouths.remove(mouth)

    async def _meet(self) -> None:
        """Find the kernel that is ready: it has connected before it said so. What waits for it is asked now."""
        self._requests = 0
        while self._kernel is None:
            self._came.clear()
            self._kernel = next((mouth for mouth in self._mouths if mouth.pid == self._pid), None)
            if self._kernel is None:
                await self._came.wait()
        self._ready.set()
        early, self._early = self._early, []
        for message in early:
            self._ask(message)

    async def _mourn(self) -> None:
        """Pass on a dead kernel's last words, and say that it is dead, unless somebody wanted it so."""
        kernel, self._kernel = self._kernel, None
        self._ready.clear()
        if kernel is not None:
            if not self._restarting and self._client is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORDS_S):
                        await kernel.silent.wait()
            kernel.shut()
        self._died.set()
        if not self._restarting and self._client is not None:
            self._client.write(packed("iopub", parts_of("status", {"execution_state": "restarting"})))

    def _hold(self) -> None:
        self._is_held = True
        for mouth in self._mouths:
            mouth.hold()

    def _hold_on(self) -> None:
        """Have whoever came meanwhile wait, too, now that it has begun to speak."""
        if self._is_held:
            self._hold()

    def _go_on(self) -> None:
        self._is_held = False
        for mouth in self._mouths:
            mouth.go_on()

    async def restart(self) -> None:
        """End the kernel; returns when there is another."""
        await self._ready.wait()
        self._restarting = True
        try:
            self._ask_the_kernel(packed("shell", parts_of("shutdown_request", {"restart": True})))
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

    # -- the orchestrator

    def asked(self, visitor: Visitor, request: Request) -> None:
        """Take a request, if it is one."""
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, f"token {self._token}".encode("ascii")):
            visitor.answer(401)
        elif (request.method, request.path) == ("POST", f"{self._path}/restart"):
            self._start(self._restart_in_time(visitor))
        elif (request.method, request.path) == ("GET", f"{self._path}/channels"):
            self._start(self._connect(visitor, request))
        else:
            visitor.answer(404)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart_in_time(self, visitor: Visitor) -> None:
        try:
            async with asyncio.timeout(RESTART_S):
                await self.restart()
        except TimeoutError:
            visitor.answer(503)
        else:
            visitor.answer(200)

    async def _connect(self, visitor: Visitor, request: Request) -> None:
        """Let somebody listen and ask; whoever did before is shown out."""
        await self._ready.wait()
        before, self._client = self._client, visitor
        if before is not None:
            before.abort()
        self._was_connected = True
        visitor.accept(request, SUBPROTOCOL)
        untaken, self._untaken = self._untaken, []
        for frames in untaken:
            visitor.write(frames)
        self._go_on()

    def said(self, visitor: Visitor, message: bytes) -> None:
        """Take a message for the kernel, or for the one that is to come."""
        if self._ready.is_set():
            self._ask(message)
        else:
            self._early.append(message)

    def full(self, visitor: Visitor) -> None:
        """Have the kernel wait."""
        if visitor is self._client:
            self._hold()

    def free(self, visitor: Visitor) -> None:
        """Have it go on."""
        if visitor is self._client:
            self._go_on()

    def gone(self, visitor: Visitor) -> None:
        """Have the kernel wait for whoever comes next."""
        if visitor is self._client:
            self._client = None
            self._hold()

    def _ask(self, message: bytes) -> None:
        channel, parts = unpacked(message)
        if channel == "shell":
            self._ask_the_kernel(framed(message))
        elif channel == "control":
            self._control(parts[0])

    def _ask_the_kernel(self, frame: bytes) -> None:
        if self._kernel is not None:
            self._requests += 1
            self._kernel.ask(frame)

    def _control(self, header: bytes) -> None:
        """Do what is asked on the control channel; anything but an interrupt only wants to hear that we are there."""
        kind = json.loads(header).get("msg_type", "")
        if kind == "interrupt_request":
            self._interrupts.note(self._requests)
            with suppress(ProcessLookupError):  # it leads the group of what its cells have started
                os.killpg(self._pid, signal.SIGINT)
        reply = packed("control", parts_of(kind.replace("_request", "_reply"), {"status": "ok"}, header))
        self.carry(reply + packed("iopub", parts_of("status", {"execution_state": "idle"}, header)))


async def offer_egress(listener: socket.socket) -> None:
    """Keep the process that offers the session's egress proxy to programs; until it is up, they wait at the door."""
    number = listener.fileno()
    while True:
        forwarder = await asyncio.create_subprocess_exec(*FORWARDER, str(number), pass_fds=[number])
        await forwarder.wait()
        await asyncio.sleep(FORWARDER_PAUSE_S)


async def serve(bridge: Bridge, heard: socket.socket, door: Path, pipe: int) -> None:
    """Serve until whoever keeps the kernel is gone. Kernels connect to the socket `heard`."""
    loop = asyncio.get_running_loop()
    told = asyncio.StreamReader()
    with os.fdopen(pipe, "rb") as source:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), source)
        async with await loop.create_unix_server(lambda: Mouth(bridge), sock=heard), asyncio.TaskGroup() as group:
            others: list[asyncio.Task[object]] = [group.create_task(bridge.listen(door))]
            if is_offered():
                # Before the door opens: the first cell may use it at once.
                listener = socket.create_server(EGRESS_ADDRESS, backlog=EGRESS_BACKLOG)
                others.append(group.create_task(offer_egress(listener)))
            await bridge.follow(told)
            for task in others:
                task.cancel()
