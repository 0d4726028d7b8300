"""Moves the bytes of one request or tunnel both ways, within the session's budgets, until either side has ended."""

import asyncio
import select
import socket
from collections.abc import Coroutine
from contextlib import suppress

from orchestrator.egress.budgets import BudgetSpent, EgressLimits, Usage
from orchestrator.limits import KIB

_CHUNK_BYTES = 64 * KIB
SPENT = "This session has used up its network budget."


class ClientEnded(Exception):
    """The client wants no more of this; the text says what was early about it, if anything was."""


class ServerDeaf(Exception):
    """The server takes nothing more. It may still have something to say."""


class Relay:
    """The bytes between a client in the sandbox and a server. Ended by the server, an error, or a limit."""

    def __init__(
        self, client: socket.socket, server: socket.socket, limits: EgressLimits, usage: Usage, deadline: float
    ) -> None:
        self._client = client
        self._server = server
        self._limits = limits
        self._usage = usage
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self.bytes_up = 0
        self.bytes_down = 0

    async def tunnel(self, first: bytes) -> str:
        """Carry a tunnel whose client has said `first` already; return why it ended early, or an empty text."""
        return await self._run(self._tunnel_up(first))

    async def request(self, head: bytes, rest: bytes, body_bytes: int) -> str:
        """Carry one request and its response; return as `tunnel`. `rest` is what of the body came with the head."""
        return await self._run(self._request_up(head, rest, body_bytes))

    async def _run(self, up: Coroutine[None, None, None]) -> str:
        sending = asyncio.create_task(up)
        receiving = asyncio.create_task(self._down())
        try:
            while True:
                running = {task for task in (sending, receiving) if not task.done()}
                left_s = min(self._active_at + self._limits.idle_s, self._deadline) - self._loop.time()
                if left_s <= 0:
                    return self._overdue()
                await asyncio.wait(running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    return _ending(receiving) or ""
                if sending.done() and (ending := _ending(sending)) is not None:
                    return ending
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    def _overdue(self) -> str:
        if self._loop.time() >= self._deadline:
            return f"The request took longer than {self._limits.total_s:g} s."
        return f"Nothing moved for {self._limits.idle_s:g} s."

    async def _down(self) -> None:
        while data := await self._loop.sock_recv(self._server, _CHUNK_BYTES):
            self._active_at = self._loop.time()
            self._usage.charge_down(len(data), self._limits)
            self.bytes_down += len(data)
            await self._loop.sock_sendall(self._client, data)
            self._active_at = self._loop.time()

    async def _tunnel_up(self, first: bytes) -> None:
        await self._send(first)
        while data := await self._loop.sock_recv(self._client, _CHUNK_BYTES):
            await self._send(data)
        if _is_gone(self._client):
            raise ClientEnded
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)

    async def _request_up(self, head: bytes, rest: bytes, body_bytes: int) -> None:
        await self._send(head)
        body, extra = rest[:body_bytes], rest[body_bytes:]
        left = body_bytes - len(body)
        if body:
            await self._send(body)
        while left:
            data = await self._loop.sock_recv(self._client, min(left, _CHUNK_BYTES))
            if not data:
                raise ClientEnded("The client went away.")
            await self._send(data)
            left -= len(data)
        # Nothing more may come; waiting for it is how the client's leaving is noticed.
        if extra or await self._loop.sock_recv(self._client, 1):
            raise ClientEnded("The client sent more than one request.")
        raise ClientEnded("The client went away.")

    async def _send(self, data: bytes) -> None:
        self._active_at = self._loop.time()
        self._usage.charge_up(len(data), self._limits)
        self.bytes_up += len(data)
        try:
            await self._loop.sock_sendall(self._server, data)
        except OSError as error:
            raise ServerDeaf from error
        self._active_at = self._loop.time()


def _is_gone(client: socket.socket) -> bool:
    """Tell a client that has closed its socket from one that has only ended its own half."""
    poll = select.poll()
    poll.register(client, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _ending(task: asyncio.Task[None]) -> str | None:
    """Return why a direction ended, and the other one with it; None where it just came to its end."""
    error = task.exception()
    if error is None or isinstance(error, ServerDeaf):
        return None
    if isinstance(error, BudgetSpent):
        return SPENT
    if isinstance(error, ClientEnded):
        return str(error)
    if isinstance(error, OSError):
        return f"The connection broke: {error.strerror or type(error).__name__}."
    raise error
