"""Tunnels of the egress proxy: TLS for the host that was allowed, from its hello to its end, and nothing else."""

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from orchestrator.egress.client_hello import TLS_ALERT
from tests.unit.egress_world import ANSWER, LOOPBACK, World, listed, make_certificate, until
from tests.unit.test_client_hello import real_hello

Tls = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_certificate(tmp_path_factory.mktemp("tls"), "example.com", "fronted.example", LOOPBACK)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def speak_tls(world: World, authority: str, client: ssl.SSLContext, host: str) -> bytes:
    """Ask through a tunnel as a usual client does, and return the answer."""
    reader, writer = await world.tunnel(authority)
    try:
        async with asyncio.timeout(30):
            await writer.start_tls(client, server_hostname=host)
            writer.write(b"GET /secret HTTP/1.1\r\n\r\n")
            return await reader.readexactly(len(ANSWER))
    finally:
        writer.close()


async def refused(world: World, port: int, data: bytes, host: str = "example.com") -> tuple[bytes, str]:
    """Say something in a tunnel and return what comes back and why it was refused."""
    reader, writer = await world.tunnel(f"{host}:{port}")
    writer.write(data)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    record = await world.recorded()
    assert (record.decision, record.method, record.host, record.bytes_up) == ("denied", "CONNECT", host, 0)
    return answer, record.reason


async def test_tls_goes_through_and_is_verified_by_the_client_itself(world: World, tls: Tls) -> None:
    async with world.server(tls=tls[0]) as port, world.proxy(listed(port)):
        assert await speak_tls(world, f"Example.com:{port}", tls[1], "example.com") == ANSWER
        record = await world.recorded()
    assert world.heard == [b"GET /secret HTTP/1.1\r\n\r\n"]
    assert (record.decision, record.reason, record.host, record.port) == ("allowed", "", "example.com", port)
    assert record.bytes_up > 200
    assert record.bytes_down > 400


async def test_tls_to_a_listed_address_names_no_server(world: World, tls: Tls) -> None:
    async with world.server(tls=tls[0]) as port, world.proxy(listed(port, name=LOOPBACK)):
        assert await speak_tls(world, f"{LOOPBACK}:{port}", tls[1], LOOPBACK) == ANSWER
        assert world.lookups == []


async def test_a_hello_for_another_host_is_refused_in_tls_and_said_in_the_log(world: World, tls: Tls) -> None:
    async with world.server(tls=tls[0]) as port, world.proxy(listed(port)):
        with capture_logs() as logs, pytest.raises(ssl.SSLError, match=r"(?i)access.denied"):
            await speak_tls(world, f"example.com:{port}", tls[1], "fronted.example")
        record = await world.recorded()
    assert record.decision == "denied"
    assert record.reason == "The tunnel is for example.com, but its TLS hello names fronted.example."
    assert [entry["reason"] for entry in logs if entry["event"] == "tunnel refused"] == [record.reason]
    assert world.heard == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"CONNECT evil.example:22 HTTP/1.1\r\n\r\n", "A tunnel must begin with a TLS hello: this is not TLS."),
        (b"GET / HTTP/1.1\r\n\r\n", "A tunnel must begin with a TLS hello: this is not TLS."),
        (b"SSH-2.0-x\r\n", "A tunnel must begin with a TLS hello: this is not TLS."),
        (b"\x00", "A tunnel must begin with a TLS hello: this is not TLS."),
    ],
)
async def test_what_is_not_tls_is_refused(world: World, data: bytes, reason: str) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port)):
        assert await refused(world, port, data) == (b"", reason)
    assert world.heard == []


@pytest.mark.parametrize(
    ("hello", "host", "reason"),
    [
        (real_hello(None), "example.com", "The tunnel is for example.com, but its TLS hello names no server."),
        (real_hello(LOOPBACK), "example.com", "The tunnel is for example.com, but its TLS hello names no server."),
        (real_hello("a.example.com"), "example.com", "but its TLS hello names a.example.com."),
        (real_hello("example.com"), LOOPBACK, "The tunnel is for 127.0.0.1, but its TLS hello names example.com."),
        (real_hello("example.com")[:5] + b"\x02" + bytes(600), "example.com", "the first message is no ClientHello."),
    ],
)
async def test_tls_that_is_not_for_the_host_is_refused(world: World, hello: bytes, host: str, reason: str) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port, name=host)):
        answer, said = await refused(world, port, hello, host)
    assert answer == TLS_ALERT
    assert reason in said
    assert world.heard == []


async def test_a_hello_may_come_early_or_in_pieces_and_arrives_as_it_was(world: World) -> None:
    hello = real_hello("example.com")
    async with world.server(world.swallow) as port, world.proxy(listed(port)):
        connect = f"CONNECT example.com:{port} HTTP/1.1\r\n\r\n".encode()
        _, early = await world.connect(connect + hello + b"more")
        await until(lambda: b"".join(world.heard) == hello + b"more")
        early.close()
        world.heard.clear()
        _, pieces = await world.tunnel(f"example.com:{port}")
        for at in range(0, len(hello), 100):
            pieces.write(hello[at : at + 100])
            await asyncio.sleep(0.001)
        await until(lambda: b"".join(world.heard) == hello)
        pieces.close()
        await world.recorded(2)


async def test_a_hello_that_never_ends_is_given_up(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port), head_s=0.05):
        assert (await refused(world, port, real_hello("example.com")[:-1]))[1] == "The TLS hello did not come in time."


async def test_a_client_that_leaves_before_its_hello_is_recorded(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port)):
        _, writer = await world.tunnel(f"example.com:{port}")
        writer.close()
        assert (await world.recorded()).reason == "The client left before its TLS hello was whole."


async def test_a_tunnel_in_which_nothing_moves_is_closed(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port), idle_s=0.05):
        reader, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com"))
        assert await reader.read() == b""
        writer.close()
        assert (await world.recorded()).reason == "Nothing moved for 0.05 s."


async def test_a_tunnel_that_is_busy_is_not_idle_but_ends_with_its_time(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port), idle_s=0.1, total_s=0.4):
        reader, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com"))
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.close()
        record = await world.recorded()
    assert record.reason == "The request took longer than 0.4 s."
    assert record.duration_s > 0.35


async def test_a_client_that_leaves_frees_even_a_server_that_does_not_care(world: World) -> None:
    leave = asyncio.Event()

    async def never_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        world.heard.append(await reader.read(10))
        await leave.wait()

    async with world.server(never_end) as port, world.proxy(listed(port)):
        _, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com"))
        await until(lambda: bool(world.heard))
        writer.close()
        assert (await world.recorded()).reason == ""
        leave.set()


async def test_a_half_closed_tunnel_still_carries_the_answer(world: World) -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await world.swallow(reader, writer)
        writer.write(b"bye")
        await writer.drain()

    async with world.server(answer_at_the_end) as port, world.proxy(listed(port)):
        reader, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com"))
        writer.write_eof()
        assert await reader.read() == b"bye"
        writer.close()
        assert (await world.recorded()).reason == ""


async def test_the_budgets_hold_in_a_tunnel(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port), bytes_up=10_000):
        reader, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com") + bytes(100_000))
        with suppress(ConnectionResetError):  # what was not taken is dropped
            assert await reader.read() == b""
        writer.close()
        record = await world.recorded()
    assert (record.decision, record.reason) == ("allowed", "This session has used up its network budget.")
    assert len(b"".join(world.heard)) <= 10_000


async def test_a_server_that_resets_the_connection_ends_the_tunnel(world: World) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()

    async with world.server(reset) as port, world.proxy(listed(port)):
        reader, writer = await world.tunnel(f"example.com:{port}")
        writer.write(real_hello("example.com"))
        assert await reader.read() == b""
        writer.close()
        assert (await world.recorded()).reason == "The connection broke: Connection reset by peer."


def test_tunnels_run_on_uvloop_as_in_production(world: World, tls: Tls) -> None:
    async def scenario() -> None:
        async with world.server(tls=tls[0]) as port, world.proxy(listed(port)):
            assert await speak_tls(world, f"example.com:{port}", tls[1], "example.com") == ANSWER
            await world.recorded()
            with pytest.raises(ssl.SSLError):
                await speak_tls(world, f"example.com:{port}", tls[1], "fronted.example")
            await world.recorded(2)
            _, writer = await world.tunnel(f"example.com:{port}")
        await world.recorded(3)
        writer.close()

    uvloop.run(scenario())
