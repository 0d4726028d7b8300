"""The way to a sandbox's socket. Its folder belongs to the sandbox, so nothing in it may be believed.

Code in the sandbox can replace its socket by a link to another session's, or to the spawner's. So the socket is opened
as a descriptor that follows no link, checked to be a socket of this session's uid, and connected to through that
very descriptor (`/proc/self/fd/N`), so that what was checked is what is connected to (THREATS G1).
"""

import asyncio
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import SOCKET_POLL_S
from orchestrator.metrics import GATEWAY_VIOLATIONS

SOCKET_NAME = "gw.sock"
_UCRED = struct.Struct("iII")  # pid, uid, gid


class NotOurSocket(SandboxUnavailable):
    """Something else is where the gateway's socket should be."""

    code = "sandbox_socket_refused"
    title = "The sandbox's socket was replaced"


@contextmanager
def opened_socket(run_folder: Path, uid: int, maker: int | None = None) -> Iterator[str]:
    """Open the gateway's socket without following links and yield a path that leads to just that inode.

    With gVisor a socket is made by gVisor's own process, `maker`, and given to the sandbox's uid only then.

    Raises:
        FileNotFoundError: it is not there (yet), or its maker still has it.
        NotOurSocket: what is there is a link, no socket, or owned by another uid.

    """
    folder = os.open(run_folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(SOCKET_NAME, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        found = os.fstat(descriptor)
        if found.st_uid == maker != uid and stat.S_ISSOCK(found.st_mode):
            raise FileNotFoundError
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != uid or found.st_nlink != 1:
            GATEWAY_VIOLATIONS.count("socket_replaced")
            raise NotOurSocket("The gateway's socket was replaced by something else; restart the session.")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


async def connect_to_gateway(
    run_folder: Path, uid: int, deadline_s: float, peer_uid: int | None = None
) -> socket.socket:
    """Wait for the gateway's socket and connect to it.

    The process at the other end must run as `peer_uid`: the sandbox's own uid (the default) with runc; with gVisor it
    is gVisor's own process, which runs as root.

    Raises:
        TimeoutError: nothing answered within `deadline_s` seconds.
        NotOurSocket: what is there is not the gateway's socket.

    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(deadline_s):
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.setblocking(False)  # noqa: FBT003
            try:
                with opened_socket(run_folder, uid, peer_uid) as path:
                    await loop.sock_connect(connection, path)
                if peer(connection) != (uid if peer_uid is None else peer_uid):
                    GATEWAY_VIOLATIONS.count("peer_uid")
                    raise NotOurSocket("Another process answers at the gateway's socket; restart the session.")
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
            except BaseException:
                connection.close()
                raise
            await asyncio.sleep(SOCKET_POLL_S)


def peer(connection: socket.socket) -> int:
    """Return the uid of the process that listens at the other end (SO_PEERCRED, unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(credentials)[1]
    return uid
