"""From a name to a connection: asked once, all addresses judged, and only what was judged connected to."""

import asyncio
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from orchestrator.egress.dialling import check_by_rule, is_own, resolve_by_system
from orchestrator.egress.policy import AllowedHost
from tests.unit.egress_world import ANSWER, LOOPBACK, World, get, listed


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_name_is_resolved_once_however_it_is_rebound(world: World) -> None:
    world.names["example.com"] = [[LOOPBACK], ["10.0.0.1"]]
    async with world.server() as port, world.proxy(listed(port)):
        assert await world.ask(get(f"http://example.com:{port}/")) == ANSWER
        assert world.lookups == ["example.com"]
        answer = await world.ask(get(f"http://example.com:{port}/"))  # a new request is judged anew
    assert b"example.com: it leads to an address of a private network." in answer
    assert b"10.0.0.1" not in answer
    assert world.records[1].reason == "example.com leads to 10.0.0.1: an address of a private network."


@pytest.mark.parametrize(
    "answer",
    [[LOOPBACK, "10.0.0.1"], ["10.0.0.1", LOOPBACK], [LOOPBACK, "::1"], ["fe80::1%lo"], [LOOPBACK, "2606:4700::1%lo"]],
)
async def test_one_address_that_is_not_fit_spoils_the_name(world: World, answer: list[str]) -> None:
    world.names["example.com"] = [answer]
    async with world.server() as port, world.proxy(listed(port)):
        assert await world.ask(get(f"http://example.com:{port}/")) != ANSWER
        assert (await world.recorded()).decision != "allowed"
    assert world.connections == 0


async def test_without_the_tests_own_rule_the_loopback_is_out_of_reach(world: World) -> None:
    entry = AllowedHost("example.com", ports=(80,), allow_private=True)
    by_address = AllowedHost(LOOPBACK, ports=(80,), allow_private=True)
    async with world.proxy(entry, by_address, check_address=check_by_rule):
        assert b"403 This session may not reach example.com: it leads to a loopback" in await world.ask(
            get("http://example.com/")
        )
        assert b"403 This session may not reach 127.0.0.1: it leads to a loopback" in await world.ask(
            get("http://127.0.0.1/")
        )


async def test_names_without_addresses_and_servers_that_are_not_there_are_told_apart(world: World) -> None:
    world.names["gone.example"] = [[]]
    world.names["odd.example"] = [["not an address"]]
    async with world.server() as free:
        pass
    async with world.proxy(listed(free), listed(free, name="gone.example"), listed(free, name="odd.example")):
        assert b" 502 The name gone.example was not found." in await world.ask(get(f"http://gone.example:{free}/"))
        assert b" 502 The name odd.example was not found." in await world.ask(get(f"http://odd.example:{free}/"))
        assert f" 502 example.com:{free} does not answer.".encode() in await world.ask(
            get(f"http://example.com:{free}")
        )
        assert (await world.recorded(3)).decision == "failed"


async def test_a_name_server_that_hangs_is_waited_for_only_so_long(world: World) -> None:
    async def hang(name: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    async with world.proxy(AllowedHost("example.com", ports=(80,)), resolve=hang, lookup_s=0.05):
        assert b" 502 The name example.com was not found." in await world.ask(get("http://example.com/"))


async def test_the_next_address_is_tried_where_the_first_does_not_answer(world: World) -> None:
    world.names["example.com"] = [["127.0.0.2", LOOPBACK]]
    async with world.server() as port, world.proxy(listed(port), check_address=lambda address, private: None):
        assert await world.ask(get(f"http://example.com:{port}/")) == ANSWER


async def test_the_hosts_own_resolver_is_asked_by_default(world: World) -> None:
    assert set(await resolve_by_system("localhost", 80)) <= {LOOPBACK, "::1"}
    async with world.server() as port, world.proxy(listed(port, name="localhost"), resolve=resolve_by_system):
        answer = await world.ask(get(f"http://localhost:{port}/"))
        assert answer == ANSWER or b" 403 This session may not reach localhost: it leads to a loopback" in answer
    with pytest.raises(OSError):
        await resolve_by_system("a name that cannot be", 80)


def test_this_host_is_told_from_others() -> None:
    assert is_own(ip_address(LOOPBACK))
    assert not is_own(ip_address("203.0.113.1"))
    assert not is_own(ip_address("2001:db8::1"))


def test_an_address_of_this_host_is_refused_however_public_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_by_rule(ip_address("93.184.215.14"), False) is None
    monkeypatch.setattr("orchestrator.egress.dialling.is_own", lambda address: True)
    assert check_by_rule(ip_address("93.184.215.14"), True) == "an address of this host"


async def test_a_server_that_takes_no_connection_is_waited_for_only_so_long(world: World) -> None:
    with socket.create_server((LOOPBACK, 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, port))
        async with world.proxy(listed(port), connect_s=0.1):
            answer = await world.ask(get(f"http://example.com:{port}/"))
        for filler in fillers:
            filler.close()
    assert f" 502 example.com:{port} does not answer.".encode() in answer


async def test_a_resolver_that_breaks_is_recorded_and_said_in_the_log(world: World) -> None:
    async def fail(name: str, port: int) -> list[str]:
        raise RuntimeError("out of order")

    async with world.proxy(AllowedHost("example.com", ports=(80,)), resolve=fail):
        with capture_logs() as logs:
            assert await world.ask(get("http://example.com/")) == b""
        record = await world.recorded()
    assert (record.decision, record.reason) == ("failed", "The proxy failed; its log says why.")
    assert [entry["log_level"] for entry in logs] == ["error"]
