"""When a session's sandbox is kept and when it is replaced, told by what its spawner and its gateway are asked for."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.config import Config, Profile
from orchestrator.config_quotas import Quota
from orchestrator.errors import SandboxUnavailable
from orchestrator.kernel.connection import Lost
from orchestrator.sessions.admission import Room
from orchestrator.sessions.network import Networks
from orchestrator.sessions.sandbox import SessionSandbox
from orchestrator.sessions.seats import Seats
from orchestrator.spawner.requests import Inspected
from orchestrator.store.records import SessionRecord
from orchestrator.workspace.folder import SessionFolder

KERNEL_DIED = Lost("The kernel died.", gateway_lives=True)


class Asked:
    """Stands for the spawner and for a connection that every restart breaks; notes what it is asked."""

    def __init__(self) -> None:
        self.oom_kills = 0
        self.usable = True
        self.noted: list[str] = []
        self.heard: Lost | None = None  # by who waits for an answer when the connection is closed

    async def stop(self, _session_id: str) -> None:
        self.noted.append("stop")

    async def inspect(self, _session_id: str) -> Inspected:
        return Inspected(running=True, oom_kills=self.oom_kills, exit_code=None)

    async def restart(self) -> None:
        self.noted.append("restart")

    async def close(self, reason: str, *, gateway_lives: bool = False) -> None:
        self.heard = Lost(reason, gateway_lives=gateway_lives)

    def next_noted(self) -> list[str]:
        noted, self.noted = self.noted, []
        return noted


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def sandbox(asked: Asked, tmp_path: Path) -> SessionSandbox:
    now = datetime.now(UTC)
    record = SessionRecord("s1", "me", "", "standard", 200_001, "t", "k", now, now)
    anything: Any = asked
    network = Networks(Config(), None, anything, lambda _: None).of(record, Profile(), tmp_path)
    folder = SessionFolder(tmp_path, record.uid, 1)
    seats = Seats(Room(10_000, 10), no_limits, nobody_to_spare)
    return SessionSandbox(record, "standard", Profile(), folder, network, anything, anything, seats)


async def no_limits(_owner: str) -> Quota:
    return Quota()


async def nobody_to_spare(_owner: str | None) -> bool:
    return False


def connect(sandbox: SessionSandbox, asked: Asked) -> None:
    """Have a kernel connected, as `ready` leaves it."""
    sandbox._connection = cast("Any", asked)


async def test_a_restart_is_the_gateways_work_and_a_second_one_in_a_row_is_not_left_to_it(
    sandbox: SessionSandbox, asked: Asked
) -> None:
    connect(sandbox, asked)
    await sandbox.restart_kernel()
    assert asked.next_noted() == ["restart"]
    connect(sandbox, asked)
    await sandbox.restart_kernel()
    assert asked.next_noted() == ["stop"]


async def test_a_cell_that_ended_by_itself_makes_the_gateway_believed_again(
    sandbox: SessionSandbox, asked: Asked
) -> None:
    for _ in range(3):
        connect(sandbox, asked)
        await sandbox.restart_kernel()
        sandbox.note_working()
    assert asked.next_noted() == ["restart"] * 3


async def test_without_a_connection_a_restart_replaces_the_sandbox(sandbox: SessionSandbox, asked: Asked) -> None:
    await sandbox.restart_kernel()
    assert asked.next_noted() == ["stop"]


async def test_a_sandbox_that_runs_out_of_memory_a_second_time_is_replaced(
    sandbox: SessionSandbox, asked: Asked
) -> None:
    for kills, replaced in ((1, []), (4, ["stop"])):
        connect(sandbox, asked)
        asked.oom_kills = kills
        assert await sandbox.ran_out_of_memory()
        await sandbox.end_what_was_lost(KERNEL_DIED)
        assert asked.next_noted() == replaced


async def test_a_kernel_that_died_of_something_else_is_the_gateways_to_replace(
    sandbox: SessionSandbox, asked: Asked
) -> None:
    for _ in range(3):
        connect(sandbox, asked)
        assert not await sandbox.ran_out_of_memory()
        await sandbox.end_what_was_lost(KERNEL_DIED)
    assert asked.next_noted() == []


async def test_a_gateway_that_is_gone_is_replaced_with_its_sandbox(sandbox: SessionSandbox, asked: Asked) -> None:
    connect(sandbox, asked)
    await sandbox.end_what_was_lost(Lost("The sandbox ended."))
    assert asked.next_noted() == ["stop"]


class Start:
    """Stands for what starts a sandbox, and lasts until it is told to go on."""

    def __init__(self, sandbox: SessionSandbox, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.goes_on = asyncio.Event()
        self.ended: list[str] = []
        self._asked = asked
        monkeypatch.setattr(sandbox, "_start", self._start)

    async def _start(self) -> Asked:
        self.begun += 1
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("whole")
        return self._asked


@pytest.fixture
def start(sandbox: SessionSandbox, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Start:
    return Start(sandbox, asked, monkeypatch)


async def turns(number: int = 50) -> None:
    """Let all that can go on do so."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_start_goes_on_when_whoever_waited_for_it_waits_no_longer(
    sandbox: SessionSandbox, start: Start
) -> None:
    """Half of a waking would lose the variables: whoever connects to a sandbox that runs forgets what was kept."""
    stopped = asyncio.create_task(sandbox.ready())
    await turns()
    stopped.cancel()
    await asyncio.gather(stopped, return_exceptions=True)
    assert stopped.cancelled() and start.begun == 1
    following = asyncio.create_task(sandbox.ready())
    await turns()
    start.goes_on.set()
    assert await asyncio.wait_for(following, 10) is sandbox._connection
    assert (start.begun, start.ended) == (1, ["whole"])


async def test_whoever_waits_no_longer_leaves_the_queue(
    sandbox: SessionSandbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = asyncio.Event()

    async def full(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            queued.set()
            raise

    monkeypatch.setattr(sandbox.seats, "take", full)
    stopped = asyncio.create_task(sandbox.ready())
    await turns()
    stopped.cancel()
    await asyncio.wait_for(queued.wait(), 10)
    assert start.begun == 0


async def test_a_process_that_ends_starts_nothing_more(sandbox: SessionSandbox, start: Start) -> None:
    waits = asyncio.create_task(sandbox.ready())
    await turns()
    await sandbox.close()
    assert start.ended == ["cancelled"]
    await asyncio.gather(waits, return_exceptions=True)
    assert waits.done()


async def test_a_start_that_fails_when_nobody_waits_is_no_error_of_ours(
    sandbox: SessionSandbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        await start.goes_on.wait()
        raise SandboxUnavailable("no")

    monkeypatch.setattr(sandbox, "_start", fails)
    stopped = asyncio.create_task(sandbox.ready())
    await turns()
    stopped.cancel()
    start.goes_on.set()
    await turns()
    with pytest.raises(SandboxUnavailable):
        await sandbox.ready()


async def test_a_restart_while_a_cell_runs_needs_no_new_container(sandbox: SessionSandbox, asked: Asked) -> None:
    """Seen to fail: the cell took the closed connection for a gateway that was gone, and had the sandbox replaced."""
    connect(sandbox, asked)
    await sandbox.restart_kernel()
    assert asked.heard is not None
    await sandbox.end_what_was_lost(asked.heard)
    assert asked.next_noted() == ["restart"]
