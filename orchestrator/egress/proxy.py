"""The listener of one session's egress proxy: a unix socket that the sandbox sees read-only, for as long as it runs.

One proxy serves one session and shares nothing with others but the threads that resolve names (THREATS E6). The socket
lies in a folder of ours that is mounted read-only into the sandbox, which so may connect to it and not replace it.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from orchestrator.egress.budgets import EgressLimits, Usage
from orchestrator.egress.dialling import CheckAddress, Dialler, Resolve, check_by_rule, resolve_by_system
from orchestrator.egress.exchange import EgressRecord, Exchange, Grant
from orchestrator.egress.policy import EgressPolicy
from orchestrator.errors import SandboxUnavailable
from orchestrator.pace import Pace

log = structlog.get_logger()

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE = 0o755
_SOCKET_MODE = 0o666  # the sandbox's uid is not ours; who gets here at all is decided by the mount
_BACKLOG = 64
_ACCEPT_RETRY_S = 0.1


class EgressProxy:
    """The proxy of one session. `start` or `async with` opens it; `close` ends it with all its tunnels."""

    def __init__(
        self,
        socket_path: Path,
        *,
        session: str,
        user: str,
        policy: EgressPolicy,
        audit: Callable[[EgressRecord], None],
        limits: EgressLimits | None = None,
        usage: Usage | None = None,
        resolve: Resolve = resolve_by_system,
        check_address: CheckAddress = check_by_rule,
    ) -> None:
        self._socket_path = socket_path
        self._limits = limits or EgressLimits()
        dialler = Dialler(self._limits, resolve, check_address)
        self._grant = Grant(session, user, policy, self._limits, usage or Usage(), dialler, audit)
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._exchanges: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Make the folder and listen in it.

        Raises:
            SandboxUnavailable: the folder is not ours alone, or nothing can listen there.

        """
        try:
            self._listener = _listen(self._socket_path)
        except OSError as error:
            raise SandboxUnavailable(f"The session's egress proxy cannot listen: {error.strerror}.") from error
        self._accepting = asyncio.create_task(self._accept(self._listener))

    async def close(self) -> None:
        """Stop listening, end all that runs, and return when each has been recorded."""
        if self._listener is None or self._accepting is None:
            return
        listener, self._listener = self._listener, None
        with suppress(FileNotFoundError):
            self._socket_path.unlink()
        tasks = {self._accepting, *self._exchanges}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(self._limits.connections)
        pace = Pace(self._limits.requests_per_s, self._limits.requests_burst)
        while True:
            await room.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors: it passes
                log.warning("egress connection not taken", session=self._grant.session, error=repr(error))
                room.release()
                await asyncio.sleep(_ACCEPT_RETRY_S)
                continue
            self._serve(client, room)
            await asyncio.sleep(pace.charge(1, loop.time()))

    def _serve(self, client: socket.socket, room: asyncio.Semaphore) -> None:
        client.setblocking(False)  # noqa: FBT003
        task = asyncio.create_task(Exchange(client, self._grant).run())
        self._exchanges.add(task)

        def end(task: asyncio.Task[None]) -> None:
            client.close()
            self._exchanges.discard(task)
            room.release()

        task.add_done_callback(end)


def _listen(socket_path: Path) -> socket.socket:
    """Return a listener at a path of any length, in a folder that nobody else can write to."""
    with suppress(FileExistsError):
        socket_path.parent.mkdir(mode=_FOLDER_MODE)
    folder = os.open(socket_path.parent, _FOLDER_FLAGS)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise SandboxUnavailable("The folder of the session's egress proxy belongs to somebody else.")
        os.fchmod(folder, _FOLDER_MODE)
        with suppress(FileNotFoundError):
            os.unlink(socket_path.name, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{socket_path.name}")
        os.chmod(socket_path.name, _SOCKET_MODE, dir_fd=folder)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
