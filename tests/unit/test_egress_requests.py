"""Plain http through the egress proxy: what is sent on, what is refused, and what a user is told."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.egress.exchange import EgressRecord
from orchestrator.egress.policy import AllowedHost
from tests.unit.egress_world import ANSWER, World, get, listed


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_listed_host_is_reached_and_the_request_recorded_once(world: World) -> None:
    async with world.server() as port, world.proxy(listed(port)):
        assert await world.ask(get(f"http://Example.com:{port}/a?b=c", "Accept: */*")) == ANSWER
        record = await world.recorded()
    head = f"GET /a?b=c HTTP/1.1\r\nHost: example.com:{port}\r\naccept: */*\r\nConnection: close\r\n\r\n".encode()
    assert world.heard == [head]
    assert record == EgressRecord(
        "s1", "ada", "example.com", port, "GET", "allowed", "", len(head), len(ANSWER), record.duration_s
    )
    assert 0 < record.duration_s < 5


async def test_the_server_is_told_the_host_that_was_decided_on(world: World) -> None:
    headers = ["Host: evil.example", "host: evil2.example", "Connection: keep-alive, X-Secret, host", "X-Secret: 1"]
    headers += ["Proxy-Authorization: Basic eA==", "Proxy-Connection: keep-alive", "Keep-Alive: 5", "TE: trailers"]
    headers += ["Upgrade: h2c", "HTTP2-Settings: AAAA", "Trailer: x", "User-Agent: test", "X-Kept: a\tb"]
    async with world.server() as port, world.proxy(listed(port)):
        await world.ask(get(f"http://example.com:{port}/", *headers))
    assert world.heard[0].decode().split("\r\n") == [
        "GET / HTTP/1.1",
        f"Host: example.com:{port}",
        "user-agent: test",
        "x-kept: a\tb",
        "Connection: close",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("request_bytes", "hint"),
    [
        (
            b"GET http://evil.example/ HTTP/1.1\r\n\r\n",
            b"This session may not reach evil.example; its profile allows: ",
        ),
        (
            b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n",
            b"This session may not reach evil.example; its profile allows: ",
        ),
        (b"CONNECT example.com:22 HTTP/1.1\r\n\r\n", b"This session may not reach example.com on port 22; "),
        (b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n", b"'/etc/passwd' is no http:// URL"),
        (b"CONNECT example.com:443\x00 HTTP/1.1\r\n\r\n", rb"'443\x00' is no port"),
        (
            b"POST http://example.com:PORT/ HTTP/1.1\r\nContent-Length: 9\r\n\r\nsecret",
            b"may not send POST to example.com",
        ),
    ],
)
async def test_what_is_not_listed_is_answered_with_a_readable_hint(
    world: World, request_bytes: bytes, hint: bytes
) -> None:
    async with world.server() as port, world.proxy(listed(port)):
        answer = await world.ask(request_bytes.replace(b"PORT", str(port).encode()))
        record = await world.recorded()
    status, _, rest = answer.partition(b"\r\n")
    head, _, body = rest.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 403 ")
    assert hint in status  # all that clients show of a refused tunnel
    assert hint in body
    assert b"Content-Type: text/plain" in head
    assert record.decision == "denied"
    assert hint.decode() in record.reason
    assert (world.connections, world.lookups) == (0, [])


async def test_an_empty_list_denies_everything(world: World) -> None:
    async with world.server() as port, world.proxy():
        for data in (get(f"http://example.com:{port}/"), get("example.com:443", method="CONNECT")):
            assert b"its profile allows no host" in await world.ask(data)
        await world.recorded(2)
    assert (world.connections, world.lookups) == (0, [])


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET http://example.com/\r\n\r\n",
        b"GET  http://example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://example.com/ evil HTTP/1.1\r\n\r\n",
        b"GET http://example.com/ HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"G\x00T http://example.com/ HTTP/1.1\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\n folded: 1\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nHost : example.com\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nX: a\nHost: evil.example\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nX: a\rHost: evil.example\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nX: a\x00\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://example.com/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET http://example.com/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST http://example.com/ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"POST http://example.com/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST http://example.com/ HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"POST http://example.com/ HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
        b"POST http://example.com/ HTTP/1.1\r\nContent-Length: \xb2\r\n\r\nhello",
    ],
)
async def test_a_head_that_two_programs_could_read_differently_is_refused(world: World, data: bytes) -> None:
    async with world.proxy(AllowedHost("example.com", ports=(80,), methods=("GET", "POST"))):
        assert (await world.ask(data)).startswith(b"HTTP/1.1 400 This proxy does not take that request")
        assert (await world.recorded()).decision == "denied"
    assert world.lookups == []


async def test_a_body_goes_as_far_as_it_was_announced_and_no_second_request_follows(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port, "POST")):
        url = f"http://example.com:{port}/"
        second = get(url, method="POST")
        await world.ask(get(url, "Content-Length: 5", method="POST", body=b"hello" + second))
        assert (await world.recorded()).reason == "The client sent more than one request."
    sent = b"".join(world.heard)
    assert sent.endswith(b"\r\n\r\nhello")
    assert sent.count(b"POST") == 1


async def test_a_body_in_pieces_arrives(world: World) -> None:
    async with world.server() as port, world.proxy(listed(port, "POST")):
        head = get(f"http://example.com:{port}/", "Content-Length: 300000", method="POST")
        reader, writer = await world.connect(head + b"a" * 100)
        writer.write(b"b" * 299_900)
        assert await reader.read() == ANSWER
        writer.close()
    assert world.heard[1] == b"a" * 100 + b"b" * 299_900


async def test_an_answer_before_the_body_has_ended_is_passed_on(world: World) -> None:
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()

    async with world.server(answer_early) as port, world.proxy(listed(port, "POST")):
        head = get(f"http://example.com:{port}/", "Content-Length: 50000000", method="POST")
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as client:  # asyncio's own streams forget an answer when a write fails
            client.setblocking(False)
            await loop.sock_connect(client, str(world.socket))
            with suppress(ConnectionError):
                await loop.sock_sendall(client, head + bytes(50_000_000))
            assert await loop.sock_recv(client, 1000) == ANSWER
        await world.recorded()
