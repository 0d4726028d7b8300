"""Offers the session's egress proxy to programs in the sandbox: 127.0.0.1:3128 leads to `/run/egress/proxy.sock`.

Usage: egress_forwarder.py DESCRIPTOR, the number of the listening socket that is handed over.

Programs know HTTP proxies by host and port and not by a socket's path; that is all there is to this process. It
decides nothing: the proxy outside does, and trusts no byte of what comes from here. Without that socket there is no
egress, and the process ends at once. Standard library only, so that `python -I -S` can run it.
"""

import asyncio
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

PROXY_SOCKET = Path("/run/egress/proxy.sock")
CONNECTIONS = 32  # the proxy takes no more of one session; the others wait in the listener's queue
CHUNK_BYTES = 64 * 1024
RETRY_S = 0.1


def egress_is_offered(proxy_socket: Path = PROXY_SOCKET) -> bool:
    """Tell whether there is a proxy to forward to."""
    try:
        return stat.S_ISSOCK(proxy_socket.stat().st_mode)
    except OSError:
        return False


async def forward(listener: socket.socket, proxy_socket: Path, connections: int = CONNECTIONS) -> None:
    """Take connections and carry each one to the proxy, until cancelled."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(connections)
    async with asyncio.TaskGroup() as group:
        while True:
            await room.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:  # out of descriptors: it passes
                room.release()
                await asyncio.sleep(RETRY_S)
                continue
            task = group.create_task(carry(client, proxy_socket))
            task.add_done_callback(lambda _: room.release())


async def carry(client: socket.socket, proxy_socket: Path) -> None:
    """Pipe one connection both ways; it ends when the proxy has no more to say, or either side is gone."""
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as proxy:
        client.setblocking(False)  # noqa: FBT003
        proxy.setblocking(False)  # noqa: FBT003
        try:
            await asyncio.get_running_loop().sock_connect(proxy, str(proxy_socket))
        except OSError:
            return
        sending = asyncio.create_task(pipe(client, proxy))
        try:
            await pipe(proxy, client)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def pipe(source: socket.socket, sink: socket.socket) -> None:
    """Move bytes until the source ends, then end the sink; a sink that is gone may still have something to say."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, CHUNK_BYTES):
            try:
                await loop.sock_sendall(sink, data)
            except OSError:
                return
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # the source was reset: nobody is left to hear an answer
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Forward until killed; end at once where the session has no egress."""
    if not egress_is_offered():
        sys.exit(0)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        listener.setblocking(False)  # noqa: FBT003
        asyncio.run(forward(listener, PROXY_SOCKET))


if __name__ == "__main__":
    main()
