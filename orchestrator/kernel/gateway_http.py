"""The one plain HTTP request that a gateway is ever asked, answered by a hostile server.

One request a connection, nothing followed, stored or decompressed; the answer is read to a byte and time limit, and
only the number in its status line is believed (THREATS G2 to G4).
"""

import asyncio
import socket

from orchestrator.limits import GATEWAY_REPLY_BYTES


class BadReply(ValueError):
    """The gateway's answer is no HTTP, or longer than any honest one."""


async def post(connection: socket.socket, path: str, token: str) -> int:
    """Send an empty JSON object to a path and return the answer's status; the connection is used up.

    The caller sets the time limit.

    Raises:
        BadReply: the answer makes no sense.
        OSError: the connection broke.

    """
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=GATEWAY_REPLY_BYTES)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\nAccept-Encoding: identity\r\n"
            "Connection: close\r\n\r\n{}".encode("ascii")
        )
        await writer.drain()
        try:
            line = await reader.readline()
        except ValueError as error:  # no end of line within the limit
            raise BadReply("the status line has no end") from error
        parts = line.split(b" ", 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit() or len(parts[1]) != 3:
            raise BadReply("no HTTP status line")
        return int(parts[1])
    finally:
        writer.close()
