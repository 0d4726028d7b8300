"""The egress proxy as a whole, on real sockets: time, budgets, records, its socket and its end."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from orchestrator.egress.budgets import Usage
from orchestrator.egress.exchange import EgressRecord
from orchestrator.errors import SandboxUnavailable
from tests.unit.egress_world import ANSWER, World, get, listed, until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_server_that_never_answers_is_given_up(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port), idle_s=0.05):
        assert b" 502 Nothing moved for 0.05 s." in await world.ask(get(f"http://example.com:{port}/"))
        assert (await world.recorded()).decision == "failed"


async def test_a_server_that_hangs_up_is_told_of(world: World) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with world.server(hang_up) as port, world.proxy(listed(port)):
        answer = await world.ask(get(f"http://example.com:{port}/"))
    assert b" 502 example.com closed the connection without an answer." in answer


async def test_a_server_that_drips_ends_with_the_requests_time(world: World) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with world.server(drip) as port, world.proxy(listed(port), total_s=0.1):
        assert set(await world.ask(get(f"http://example.com:{port}/"))) == {ord("x")}
        assert (await world.recorded()).reason == "The request took longer than 0.1 s."


async def test_a_client_that_leaves_frees_the_server(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port)):
        _, writer = await world.connect(get(f"http://example.com:{port}/"))
        await until(lambda: bool(world.heard))
        writer.close()
        assert (await world.recorded()).reason == "The client went away."


async def test_a_client_that_does_not_read_is_given_up(world: World) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(2**16))
            await writer.drain()

    async with world.server(flood) as port, world.proxy(listed(port), idle_s=0.1):
        reader, writer = await world.connect(get(f"http://example.com:{port}/"))
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert (await world.recorded()).reason == "Nothing moved for 0.1 s."
        writer.transport.abort()


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"GET http", b"408 The request's head did not come in time."), (b"x" * 300, b"431 The request's head has more")],
)
async def test_a_head_that_does_not_end_is_given_up(world: World, data: bytes, status: bytes) -> None:
    async with world.proxy(head_s=1.0, head_bytes=256):
        assert (await world.ask(data)).startswith(b"HTTP/1.1 " + status)
        assert (await world.recorded()).decision == "denied"


async def test_a_connection_without_a_word_is_no_request(world: World) -> None:
    async with world.proxy(head_s=1.0):
        _, writer = await world.connect()
        writer.close()
        assert (await world.ask(b"")).startswith(b"HTTP/1.1 408 ")
        _, writer = await world.connect(b"GET ht")
        writer.close()
        assert (await world.recorded()).reason == "The request's head ended early."


async def test_the_budget_down_is_the_sessions_and_ends_a_response_in_the_middle(world: World) -> None:
    async def answer_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(10_000_000))
        await writer.drain()

    usage = Usage()
    async with world.server(answer_much) as port:
        async with world.proxy(listed(port), usage=usage, bytes_down=1_000_000):
            assert 0 < len(await world.ask(get(f"http://example.com:{port}/"))) <= 1_000_000
            assert (await world.recorded()).reason == "This session has used up its network budget."
            assert world.records[0].bytes_down <= 1_000_000
        async with world.proxy(listed(port), usage=usage, bytes_down=1_000_000):  # a restart resets nothing
            assert b" 403 This session has used up its network budget." in await world.ask(
                get(f"http://example.com:{port}/")
            )
    assert world.connections == 1


async def test_the_budget_up_lets_nothing_beyond_it_out(world: World) -> None:
    async with world.server(world.swallow) as port, world.proxy(listed(port, "POST"), bytes_up=100_000):
        head = get(f"http://example.com:{port}/", "Content-Length: 5000000", method="POST")
        answer = await world.ask(head + bytes(150_000))
        assert b" 403 This session has used up its network budget." in answer
        assert (await world.recorded()).decision == "denied"
    assert len(b"".join(world.heard)) <= 100_000


async def test_more_connections_than_allowed_wait_for_their_turn(world: World) -> None:
    async with world.server() as port, world.proxy(connections=2, head_s=0.2):
        idle = [await world.connect(b"GET") for _ in range(2)]
        waiting = asyncio.create_task(world.ask(get(f"http://example.com:{port}/")))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        for _, writer in idle:
            writer.close()
        assert b" 403 " in await waiting


async def test_a_flood_of_requests_is_slowed_down(world: World) -> None:
    async with world.proxy(requests_burst=5, requests_per_s=50.0):
        asked_at = asyncio.get_running_loop().time()
        for _ in range(15):
            await world.ask(get("http://example.com/"))
        assert asyncio.get_running_loop().time() - asked_at > 0.15
        await world.recorded(15)


async def test_an_audit_that_fails_stops_nothing(world: World) -> None:
    def fail(record: EgressRecord) -> None:
        world.records.append(record)
        raise RuntimeError("the disk is full")

    async with world.server() as port, world.proxy(listed(port), audit=fail):
        for _ in range(2):
            assert await world.ask(get(f"http://example.com:{port}/")) == ANSWER
        await world.recorded(2)


async def test_closing_ends_all_that_runs_and_leaves_no_task(world: World) -> None:
    before = asyncio.all_tasks()
    async with world.server(world.swallow) as port:
        proxy = world.proxy(listed(port))
        await proxy.start()
        busy = [await world.connect(get(f"http://example.com:{port}/")) for _ in range(3)]
        head = await world.connect(b"GET http")
        await until(lambda: len(world.heard) == 3)
        await proxy.close()
        await world.recorded(4)
        for reader, writer in (*busy, head):
            assert await reader.read() == b""
            writer.close()
        assert not world.socket.exists()
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            await world.connect()
        await proxy.close()  # twice is once
    await until(lambda: asyncio.all_tasks() == before)
    assert {record.reason for record in world.records} == {"The proxy was closed."}


async def test_the_sandbox_may_connect_to_the_socket_and_nobody_may_replace_it(world: World) -> None:
    world.socket.parent.mkdir()
    world.socket.parent.chmod(0o777)
    world.socket.write_text("left over")
    mask = os.umask(0o077)
    try:
        async with world.proxy():
            assert stat.S_ISSOCK(world.socket.stat().st_mode)
            assert stat.S_IMODE(world.socket.stat().st_mode) == 0o666
            assert stat.S_IMODE(world.socket.parent.stat().st_mode) == 0o755
    finally:
        os.umask(mask)


def a_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def a_file(folder: Path) -> None:
    folder.write_text("")


def a_full_folder(folder: Path) -> None:
    (folder / "proxy.sock").mkdir(parents=True)


@pytest.mark.parametrize("put", [a_link, a_file, a_full_folder])
async def test_nothing_listens_where_the_folder_is_not_as_it_should_be(
    world: World, put: Callable[[Path], None]
) -> None:
    put(world.socket.parent)
    with pytest.raises(SandboxUnavailable):
        await world.proxy().start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_nothing_listens_in_somebody_elses_folder(world: World) -> None:
    world.socket.parent.mkdir()
    os.chown(world.socket.parent, 12345, 12345)
    with pytest.raises(SandboxUnavailable, match="belongs to somebody else"):
        await world.proxy().start()


async def test_a_path_may_be_longer_than_a_sockets_address(tmp_path: Path) -> None:
    world = World(tmp_path / ("long" * 30))
    world.socket.parent.parent.mkdir()
    async with world.proxy():
        assert len(str(world.socket)) > 108
        assert world.socket.is_socket()


def test_it_runs_on_uvloop_as_in_production(world: World) -> None:
    async def scenario() -> None:
        async with world.server() as port, world.proxy(listed(port), idle_s=0.2):
            assert await world.ask(get(f"http://example.com:{port}/")) == ANSWER
            assert b" 403 " in await world.ask(get("http://evil.example/"))
            await world.recorded(2)
        world.heard.clear()
        async with world.server(world.swallow) as port:
            proxy = world.proxy(listed(port))
            await proxy.start()
            _, writer = await world.connect(get(f"http://example.com:{port}/"))
            await until(lambda: bool(world.heard))
            await proxy.close()
            writer.close()
            await world.recorded(3)

    uvloop.run(scenario())
