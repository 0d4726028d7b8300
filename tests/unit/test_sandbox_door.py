"""The door of a sandbox: HTTP and WebSocket as our own client speaks them, and what it refuses."""

import os
from asyncio import get_running_loop, open_unix_connection
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from sandbox_image.glovebox_door import BadRequest, Request, Visitor, parse_request, unmasked
from sandbox_image.glovebox_wire import frame_head, framed


class Echo:
    """Sends each message back."""

    def asked(self, visitor: Visitor, request: Request) -> None:
        if request.path == "/echo":
            visitor.accept(request, "echo")
        else:
            visitor.answer(404)

    def said(self, visitor: Visitor, message: bytes) -> None:
        visitor.write(framed(message))

    def full(self, visitor: Visitor) -> None: ...

    def free(self, visitor: Visitor) -> None: ...

    def gone(self, visitor: Visitor) -> None: ...


@asynccontextmanager
async def echoing(path: Path) -> AsyncIterator[Path]:
    """Serve a door that sends each message back."""
    async with await get_running_loop().create_unix_server(lambda: Visitor(Echo()), path):
        yield path


def connected(path: Path) -> "unix_connect":
    return unix_connect(str(path), "ws://localhost/echo?x=1", subprotocols=["echo"], max_size=None, compression=None)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ClientConnection]:
    async with echoing(tmp_path / "door.sock") as path, connected(path) as connection:
        yield connection


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_003])
async def test_messages_of_any_size_come_back_whole(client: ClientConnection, size: int) -> None:
    data = os.urandom(size)
    await client.send(data)
    assert await client.recv() == data


async def test_pieces_are_one_message_and_a_ping_between_is_answered(client: ClientConnection) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        await (await client.ping())
        yield b"two"

    await client.send(pieces())
    assert await client.recv() == b"one two"
    assert client.subprotocol == "echo"


async def test_a_close_is_answered(client: ClientConnection) -> None:
    await client.close(1000)
    assert client.close_code == 1000


async def test_what_breaks_the_protocol_ends_the_connection(tmp_path: Path) -> None:
    async with echoing(tmp_path / "door.sock") as path, connected(path) as connection:
        connection.transport.write(frame_head(2, 3) + b"abc")  # a client has to mask
        with pytest.raises(ConnectionClosed):
            await connection.recv()


async def test_a_message_without_an_end_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox_image.glovebox_door.MESSAGE_BYTES", 1000)
    async with echoing(tmp_path / "door.sock") as path, connected(path) as connection:

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(400)

        with pytest.raises(ConnectionClosed):
            await connection.send(endless())


def test_a_head_is_read() -> None:
    request = parse_request(b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nAuthorization: token t")
    assert request == Request("POST", "/a/b", {"host": "x", "authorization": "token t"})


@pytest.mark.parametrize("head", [b"", b"GET /", b"a b c d"])
def test_what_is_no_head_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(head)


async def test_a_head_without_an_end_is_not_kept(tmp_path: Path) -> None:
    async with echoing(tmp_path / "door.sock") as path:
        reader, writer = await open_unix_connection(path)
        writer.write(b"GET /echo HTTP/1.1\r\n" + bytes(100_000))
        assert await reader.read() == b""
        writer.close()


def test_a_mask_is_taken_off() -> None:
    data, mask = os.urandom(1001), os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    assert unmasked(masked, mask) == data
    assert unmasked(b"", mask) == b""
