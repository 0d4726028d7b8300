"""One WebSocket to one kernel: requests go out, typed messages of each request come back.

The reader task parses each frame, drops and counts what does not fit, and hands the rest to whoever runs the request
that the frame answers. A frame that breaks the protocol ends the connection: its sender is broken or hostile.
"""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from orchestrator.errors import SandboxLost, SandboxUnavailable
from orchestrator.kernel.bounded_socket import BoundedConnection
from orchestrator.kernel.door import connect_to_gateway
from orchestrator.kernel.frames import SUBPROTOCOL, BadFrame, parse_frame, serialize_frame
from orchestrator.kernel.gateway_http import BadReply, post
from orchestrator.kernel.messages import Message, State, parent_id, parse_message
from orchestrator.limits import (
    GATEWAY_BURST_BYTES,
    GATEWAY_BYTES_PER_S,
    GATEWAY_MESSAGE_BYTES,
    GATEWAY_MESSAGE_COST,
    GATEWAY_QUEUE_FRAMES,
    RESTART_S,
)
from orchestrator.metrics import GATEWAY_MESSAGES_DROPPED, GATEWAY_VIOLATIONS
from orchestrator.pace import Pace

_WAITING_MESSAGES = 256
_PROBE_S = 0.25
_SEND_S = 5.0
_HANG_UP_S = 2.0
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Lost:
    """The last thing a request hears when its kernel or the way to it is gone; `reason` is for the person."""

    reason: str
    variables_kept: bool = False
    gateway_lives: bool = False


Heard = asyncio.Queue[Message | Lost]


class KernelConnection:
    """A connection to the kernel of one sandbox."""

    def __init__(
        self,
        run_folder: Path,
        uid: int,
        token: str,
        kernel_id: str,
        peer_uid: int | None = None,
        on_lost: Callable[[Lost], None] = lambda _: None,
        session: str | None = None,
    ) -> None:
        """`on_lost` is called when the kernel or the way to it is gone, and nobody here had closed it.

        With the `session` of an earlier connection the gateway hands on what came since that one ended.
        """
        self._run_folder = run_folder
        self._uid = uid
        self._peer_uid = peer_uid
        self._token = token
        self._kernel_id = kernel_id
        self._on_lost = on_lost
        self._session = session or uuid.uuid4().hex
        self._closing = False
        self._listeners: dict[str, Heard] = {}
        self._socket: BoundedConnection
        self._reader: asyncio.Task[None]
        self._pace = Pace(GATEWAY_BYTES_PER_S, GATEWAY_BURST_BYTES, GATEWAY_MESSAGE_COST)
        self.dropped = 0
        self.usable = False

    async def open(self, deadline_s: float, expecting: str | None = None) -> None:
        """Connect, and return when the kernel answers.

        With `expecting`, the id of a cell that an earlier process sent, return as soon as the gateway does: the kernel
        is at work, and `heard_of` has what it says.

        Raises:
            SandboxUnavailable: it did not, within `deadline_s` seconds.

        """
        try:
            async with asyncio.timeout(deadline_s):
                connection = await self._connect(deadline_s)
                opened = await connect(
                    f"ws://localhost/api/kernels/{self._kernel_id}/channels?session_id={self._session}",
                    sock=connection,
                    proxy=None,
                    compression=None,
                    create_connection=BoundedConnection,
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    additional_headers={"Authorization": f"token {self._token}"},
                    max_size=GATEWAY_MESSAGE_BYTES,
                    max_queue=GATEWAY_QUEUE_FRAMES,
                    ping_interval=None,
                    open_timeout=deadline_s,
                    close_timeout=1,
                )
                self._socket = cast(BoundedConnection, opened)
        except (TimeoutError, OSError, WebSocketException, ValueError) as error:  # ValueError: it wants to redirect us
            reason = str(error)[:_LONGEST_REASON] or f"within {deadline_s:g} s"
            raise SandboxUnavailable(f"The sandbox was started, but its kernel did not answer ({reason}).") from error
        if self._socket.subprotocol != SUBPROTOCOL:
            await self._hang_up()
            raise SandboxUnavailable("The sandbox's gateway does not speak the kernel protocol.")
        self.usable = True
        if expecting is not None:
            self._listeners[expecting] = asyncio.Queue(_WAITING_MESSAGES)
        self._reader = asyncio.create_task(self._read(), name=f"kernel reader {self._kernel_id}")
        try:
            if expecting is None:
                async with asyncio.timeout(deadline_s):
                    await self._hear_the_kernel()
        except BaseException as error:
            await self.close("The kernel was not heard.")
            if isinstance(error, TimeoutError):
                raise SandboxUnavailable("The sandbox was started, but its kernel says nothing.") from error
            raise

    async def close(self, reason: str, *, gateway_lives: bool = False) -> None:
        """Close the connection; the kernel goes on. Requests that wait hear `reason`."""
        self.usable = False
        self._closing = True
        self._tell_all(Lost(reason, gateway_lives=gateway_lives))  # before the reader can say less
        await self._hang_up()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def wait_until_idle(self, deadline_s: float) -> bool:
        """Tell whether the kernel is done with whatever it was asked before, within `deadline_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), self._asking("shell", "kernel_info_request", {}) as heard:
                while not isinstance(message := await heard.get(), State | Lost):
                    continue
                return isinstance(message, State)
        return False

    @asynccontextmanager
    async def executing(
        self, code: str, *, silent: bool = False, message_id: str | None = None
    ) -> AsyncIterator[Heard]:
        """Send a cell and yield the queue of what the kernel says about it; `message_id` is whom it answers.

        A silent one is ours: it has no number and no place in the history. The queue is bounded: a slow consumer slows
        the reader, and so the gateway, down.

        Raises:
            SandboxLost: the connection is gone.

        """
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        async with self._asking("shell", "execute_request", content, message_id) as heard:
            yield heard

    @asynccontextmanager
    async def heard_of(self, message_id: str) -> AsyncIterator[Heard]:
        """Yield the queue of what the kernel says about the cell that `open` was told to expect."""
        try:
            yield self._listeners[message_id]
        finally:
            self._forget(message_id)

    @asynccontextmanager
    async def _asking(
        self, channel: str, kind: str, content: dict[str, Any], message_id: str | None = None
    ) -> AsyncIterator[Heard]:
        message_id = message_id or uuid.uuid4().hex
        heard: Heard = asyncio.Queue(_WAITING_MESSAGES)
        self._listeners[message_id] = heard
        try:
            await self._send(channel, kind, message_id, content)
            yield heard
        finally:
            self._forget(message_id)

    def _forget(self, message_id: str) -> None:
        heard = self._listeners.pop(message_id)
        while not heard.empty():  # lets a reader that waits for room go on
            heard.get_nowait()

    async def _hear_the_kernel(self) -> None:
        """Ask until the kernel is heard on the channel of outputs.

        The gateway makes sure of that itself, but not for a kernel that it believes busy, as it does one that has just
        died: its successor's first outputs would be lost without a word. The control channel answers in a cell, too.
        """
        while True:
            async with self._asking("control", "kernel_info_request", {}) as heard:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_S):
                        while not isinstance(message := await heard.get(), State):
                            if isinstance(message, Lost):
                                raise SandboxLost(message.reason)
                        return

    async def interrupt(self) -> None:
        """Ask the kernel to interrupt its running cell.

        Raises:
            SandboxLost: the connection is gone.

        """
        await self._send("control", "interrupt_request", uuid.uuid4().hex, {})

    async def restart(self) -> None:
        """Have the gateway start the kernel anew: variables are lost, files kept.

        Raises:
            SandboxUnavailable: the gateway refused, or did not answer in time.

        """
        try:
            async with asyncio.timeout(RESTART_S):
                connection = await self._connect(RESTART_S)
                status = await post(connection, f"/api/kernels/{self._kernel_id}/restart", self._token)
        except (TimeoutError, OSError, BadReply) as error:
            raise SandboxUnavailable(f"The kernel could not be restarted ({type(error).__name__}).") from error
        if status != 200:
            raise SandboxUnavailable(f"The kernel could not be restarted (the gateway answered {status}).")

    async def _connect(self, deadline_s: float) -> socket.socket:
        return await connect_to_gateway(self._run_folder, self._uid, deadline_s, self._peer_uid)

    async def _hang_up(self) -> None:
        """Close the socket, by force when the other end does not take even that."""
        try:
            async with asyncio.timeout(_HANG_UP_S):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()

    async def _send(self, channel: str, kind: str, message_id: str, content: dict[str, Any]) -> None:
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "session": self._session,
            "username": "glovebox",
            "version": "5.4",
            "date": "",
        }
        try:
            await self._socket.put(serialize_frame(channel, header, content), _SEND_S)
        except TimeoutError as error:
            self.usable = False
            raise SandboxLost("The sandbox's gateway does not take requests any more.") from error
        except WebSocketException as error:
            raise SandboxLost("The connection to the sandbox is gone.") from error

    async def _read(self) -> None:
        lost = Lost("The sandbox ended.")
        try:
            async for data in self._socket:
                if not isinstance(data, bytes):
                    raise BadFrame("a text frame")
                await self._dispatch(data)
                wait_s = self._pace.charge(len(data), time.monotonic())
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
        except BadFrame as error:
            GATEWAY_VIOLATIONS.count("protocol")
            lost = Lost(f"The sandbox's gateway broke the protocol ({error}).")
        except (WebSocketException, OSError) as error:
            lost = _why_it_broke(error)
        self._break_off(lost)
        await self._hang_up()

    async def _dispatch(self, data: bytes) -> None:
        frame = parse_frame(data)
        message = parse_message(frame)
        if isinstance(message, State) and message.execution_state in ("restarting", "dead"):
            self._break_off(Lost("The kernel died.", gateway_lives=True))
            return
        listener = self._listeners.get(parent_id(frame) or "")
        if message is None or listener is None:
            self.dropped += 1
            GATEWAY_MESSAGES_DROPPED.count()
        else:
            await listener.put(message)

    def give_up(self, message_id: str, lost: Lost) -> None:
        """Tell whoever waits for the answer to a request that none will come."""
        if (listener := self._listeners.get(message_id)) is not None:
            _put_last(listener, lost)

    def _break_off(self, lost: Lost) -> None:
        was_usable, self.usable = self.usable, False
        self._tell_all(lost)
        if was_usable and not self._closing:
            self._on_lost(lost)

    def _tell_all(self, lost: Lost) -> None:
        for listener in self._listeners.values():
            _put_last(listener, lost)


def _put_last(listener: Heard, lost: Lost) -> None:
    if listener.full():  # the end matters more than the oldest message, and nobody may be taking any
        listener.get_nowait()
    listener.put_nowait(lost)


def _why_it_broke(error: Exception) -> Lost:
    """Return what to tell: most often only that it broke, sometimes that an output was too large."""
    sent = error.sent if isinstance(error, ConnectionClosed) else None
    if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
        GATEWAY_VIOLATIONS.count("message_too_big")
        most = GATEWAY_MESSAGE_BYTES // 2**20
        reason = f"One output was larger than {most} MiB and is lost; write such a thing to a file instead."
        return Lost(reason, variables_kept=True, gateway_lives=True)
    if sent is not None and sent.code in (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA):
        GATEWAY_VIOLATIONS.count("protocol")
    return Lost(f"The connection to the sandbox broke ({type(error).__name__}).")
