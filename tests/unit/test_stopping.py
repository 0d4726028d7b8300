"""A cell that is stopped: told in a moment, heard out behind that, and never a word lost of what became of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.chat.own_turn import OwnTurn
from orchestrator.config import Profile
from orchestrator.errors import SandboxLost
from orchestrator.events import CellFinished, EventLog, Notice
from orchestrator.kernel.connection import Heard, Lost
from orchestrator.kernel.messages import Failure, Reply, State, Stream
from orchestrator.sessions import cell as cell_module
from orchestrator.sessions import passage as passage_module
from orchestrator.sessions import row as row_module
from orchestrator.sessions.session import LiveSession
from orchestrator.sessions.state import SessionLife, SessionState, Step
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import ENDING, CellRecord, MessageRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.workspace.folder import SessionFolder
from tests.unit.played import database_url, of_type, until

GRACE_S = 0.4


class PlayedSandbox:
    """A sandbox whose kernel does what the test says; a restart ends what runs in it."""

    owner = "ann"
    running = may_run = True

    def __init__(self) -> None:
        self.life = SessionLife()
        self.life.note(Step.START)
        self.life.note(Step.RESUMED)
        self.seats = self.weight = self
        self.heard: Heard = asyncio.Queue()
        self.interrupts = self.restarts = 0
        self.heeds = False
        self.takes_requests = True
        self.on_its_way: list[Any] = []

    async def note_cell(self, _owner: str) -> None: ...

    async def close(self, _reason: str) -> None:
        """Close the connection, as whose end the sandbox stands, too: what is on its way comes before that."""
        self.says(Lost("Glovebox is shutting down."))
        await asyncio.sleep(0.01)
        self.says(*self.on_its_way)

    async def ready(self, _watcher: object) -> "PlayedSandbox":
        return self

    async def reconnect(self, _cell_id: str | None = None) -> "PlayedSandbox":
        return self

    @asynccontextmanager
    async def executing(self, code: str, **_how: object) -> AsyncIterator[Heard]:
        self.heard = asyncio.Queue()
        if code == "easy":
            self.says(Reply("ok", 2), State("idle"))
        yield self.heard

    @asynccontextmanager
    async def heard_of(self, _cell_id: str) -> AsyncIterator[Heard]:
        yield self.heard

    @contextmanager
    def cell(self) -> Iterator[None]:
        yield

    async def wait_until_idle(self, _deadline_s: float) -> bool:
        return False

    async def interrupt(self) -> None:
        self.interrupts += 1
        if not self.takes_requests:
            await asyncio.sleep(GRACE_S)
            raise SandboxLost("The sandbox's gateway does not take requests any more.")
        if self.heeds:
            self.heed()

    async def restart_kernel(self) -> None:
        self.restarts += 1
        self.heard.put_nowait(Lost("The kernel was restarted."))
        self.life.note(Step.RENEWED)

    async def ran_out_of_memory(self) -> bool:
        return False

    async def end_what_was_lost(self, _lost: Lost) -> None: ...

    def note_working(self) -> None: ...

    def says(self, *messages: Any) -> None:
        for message in messages:
            self.heard.put_nowait(message)

    def heed(self) -> None:
        self.says(Failure("KeyboardInterrupt", "", ()), Reply("error", 1), State("idle"))


class World:
    def __init__(self, session: LiveSession, sandbox: PlayedSandbox, conversation: ConversationStore) -> None:
        self.session, self.sandbox, self.conversation = session, sandbox, conversation

    async def begin(self, code: str = "hang") -> tuple[EventLog, asyncio.Future[CellRecord]]:
        events, task = self.session.start_cell(code, None)
        await until(lambda: of_type(events, "cell_started") or task.done())
        return events, task

    async def stored(self) -> CellRecord:
        return (await self.conversation.cells(self.session.id))[-1]

    async def rows(self) -> list[str]:
        return [cell.status for cell in await self.conversation.close_what_a_crash_left_open()]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(passage_module, "STOP_ANSWER_S", 0.02)
    monkeypatch.setattr(cell_module, "INTERRUPT_GRACE_S", GRACE_S)
    monkeypatch.setattr(cell_module, "INTERRUPT_PACE_S", 0.0)
    database = Database(database_url(tmp_path))
    await database.open()
    record = await SessionStore(database).add("ann", "n", "standard")
    conversation = ConversationStore(database)
    folder = SessionFolder(tmp_path / "session", record.uid, 2**30)
    folder.make()
    anything: Any = Anything()
    sandbox: Any = PlayedSandbox()
    session = LiveSession(record.id, Profile(), folder, anything, sandbox, conversation, anything)
    yield World(session, sandbox, conversation)
    await session.let_go()
    await database.close()


class Anything:
    """A disk that is there, and an audit log that takes all."""

    async def open(self, *, make: bool = False) -> None: ...

    def note_cell(self, *_told: object) -> None: ...


def finished(events: EventLog) -> list[CellFinished]:
    return [event for event in events.since(0) if isinstance(event, CellFinished)]


def told(outputs: list[dict[str, Any]]) -> str:
    return " ".join(output["evalue"] for output in outputs if output["output_type"] == "error")


async def at_rest(world: World) -> None:
    await until(lambda: not world.session.in_use)


async def test_a_cell_that_heeds_its_interrupt_ends_as_ever(world: World) -> None:
    world.sandbox.heeds = True
    events, task = await world.begin()
    assert world.session.stop_cell()
    cell = await task
    assert (cell.status, [output["ename"] for output in cell.outputs]) == ("interrupted", ["KeyboardInterrupt"])
    assert (await world.stored()).outputs == cell.outputs
    assert len(finished(events)) == 1


async def test_a_deaf_cell_is_told_before_its_kernel_is_ended_and_the_loss_is_told_after(world: World) -> None:
    events, task = await world.begin()
    world.sandbox.says(Stream("stdout", "before"))
    await until(lambda: of_type(events, "stream"))
    world.session.stop_cell()
    cell = await task
    assert (cell.status, world.sandbox.restarts) == ("interrupted", 0)
    assert "has not ended yet" in told(cell.outputs) and cell.outputs[0]["text"] == "before"
    assert (await world.stored()).status == "interrupted"  # for whoever reads it
    assert (world.session.state, world.session.in_use) == (SessionState.BUSY, True)
    await at_rest(world)
    assert (world.sandbox.restarts, world.session.state) == (1, SessionState.READY)
    stored = await world.stored()
    assert (stored.status, stored.outputs[0]["text"]) == ("interrupted", "before")
    assert told(stored.outputs).endswith("so its kernel was ended. Variables are lost, files are kept.")
    assert "has not ended yet" not in told(stored.outputs)
    assert len(finished(events)) == 1


async def test_a_cell_that_heeds_late_keeps_its_kernel_and_what_it_said_last(world: World) -> None:
    events, task = await world.begin()
    world.session.stop_cell()
    await task
    number = len(events)
    world.sandbox.says(Stream("stdout", "after"))
    world.sandbox.heed()
    await at_rest(world)
    assert (world.sandbox.restarts, world.session.state) == (0, SessionState.IDLE)
    stored = await world.stored()
    assert (stored.status, stored.execution_count, stored.outputs[0]["text"]) == ("interrupted", 1, "after")
    assert told(stored.outputs).endswith("Variables and files are kept.")
    assert len(events) == number, "whoever watched had been told the end"
    events, task = await world.begin("easy")
    assert (await task).status == "ok" and not of_type(events, "notice")


async def test_a_cell_that_ends_well_after_all_is_stored_as_it_was(world: World) -> None:
    _, task = await world.begin()
    world.session.stop_cell()
    assert (await task).status == "interrupted"
    world.sandbox.says(Reply("ok", 1), State("idle"))
    await at_rest(world)
    stored = await world.stored()
    assert (stored.status, stored.outputs) == ("ok", [])


async def test_the_next_cell_waits_for_the_kernel_and_is_told_of_the_loss_once(world: World) -> None:
    _, task = await world.begin()
    world.session.stop_cell()
    await task
    events, waiting = await world.begin("easy")
    assert (await waiting).status == "ok"
    assert world.sandbox.restarts == 1
    codes = [event.code for event in events.since(0) if isinstance(event, Notice)]
    assert codes == ["kernel_ending", "kernel_ended"]
    events, task = await world.begin("easy")
    await task
    assert not of_type(events, "notice")


async def test_a_second_stop_interrupts_once_more_and_gives_no_more_time(world: World) -> None:
    _, task = await world.begin()
    world.session.stop_cell()
    await task
    assert world.session.stop_cell() and world.session.stop_cell()
    await until(lambda: world.sandbox.interrupts == 3)
    await at_rest(world)
    assert world.sandbox.restarts == 1


async def test_a_gateway_that_takes_no_requests_does_not_hold_up_the_answer(world: World) -> None:
    world.sandbox.takes_requests = False
    _, task = await world.begin()
    world.session.stop_cell()
    assert "has not ended yet" in told((await task).outputs)
    assert world.sandbox.restarts == 0
    await at_rest(world)
    assert world.sandbox.restarts == 1


async def test_a_stop_before_anything_is_heard_ends_a_deaf_cell_too(world: World) -> None:
    """Seen to fail when the grace counted only for a cell that was being heard already."""
    listening = cell_module.CellRun._listen

    async def slow(self: cell_module.CellRun, *what: Any) -> None:
        await until(lambda: self._must_end_by < float("inf"))
        await listening(self, *what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_module.CellRun, "_listen", slow)
        _, task = await world.begin()
        world.session.stop_cell()
        await task
        await at_rest(world)
    assert world.sandbox.restarts == 1


async def test_a_kernel_that_is_restarted_meanwhile_is_the_end_of_it(world: World) -> None:
    _, task = await world.begin()
    world.session.stop_cell()
    await task
    await world.session.restart()
    await at_rest(world)
    assert world.sandbox.restarts == 1
    assert "Variables are lost" in told((await world.stored()).outputs)


async def test_an_end_of_this_process_leaves_the_cell_to_the_next_one_which_ends_it(world: World) -> None:
    _, task = await world.begin()
    world.sandbox.says(Stream("stdout", "before"))
    world.session.stop_cell()
    await task
    await world.session.let_go()
    await at_rest(world)
    assert world.sandbox.restarts == 0
    (cell,) = await world.conversation.close_what_a_crash_left_open()
    assert cell.status == ENDING
    world.session.resume(cell)
    await until(lambda: world.sandbox.restarts)
    await at_rest(world)
    assert await world.rows() == []
    stored = await world.stored()
    assert (stored.status, stored.outputs[0]["text"]) == ("interrupted", "before")
    assert told(stored.outputs) == (
        "The cell did not heed the interrupt, so its kernel was ended. Variables are lost, files are kept."
    )


async def test_whoever_goes_away_before_the_answer_takes_the_cell_along_and_after_it_not(world: World) -> None:
    _, task = await world.begin()
    task.cancel()
    await at_rest(world)
    assert await world.conversation.cells(world.session.id) == []
    _, task = await world.begin()
    world.session.stop_cell()
    await until(lambda: world.session._run and world.session._run.left)
    task.cancel()
    await at_rest(world)
    assert ((await world.stored()).status, world.sandbox.restarts) == ("interrupted", 1)


async def test_a_turn_ends_with_the_answer_and_the_next_one_keeps_what_was_told(world: World) -> None:
    async def play(name: str, code: str, then: Callable[[OwnTurn], Any]) -> list[dict[str, Any]]:
        message = MessageRecord(name, world.session.id, "assistant", datetime.now(UTC), status="running")
        await world.conversation.add_messages(message)
        turn = OwnTurn(name, code, world.session, world.conversation)
        turn.start(lambda: None)
        await until(lambda: of_type(turn.events, "cell_started") or not turn.running)
        await then(turn)
        await until(lambda: not turn.running)
        (answer,) = [each for each in await world.conversation.messages(world.session.id) if each.id == name]
        return answer.parts

    async def stop(turn: OwnTurn) -> None:
        await turn.stop()
        assert world.sandbox.restarts == 0

    async def nothing(_turn: OwnTurn) -> None: ...

    (cell,) = await play("a", "hang", stop)
    assert cell["type"] == "cell"
    notice, cell = await play("b", "easy", nothing)
    assert (notice["type"], notice["code"]) == ("notice", "kernel_ended")
    assert notice["text"] in cell["notes"], "the model reads it, too"


async def test_a_short_cell_without_watchers_is_stored_once_and_a_long_one_before_its_end(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_module, "CELL_UNSTORED_S", 60)
        patch.setattr(ConversationStore, "begin_cell", None)
        _, answer = world.session.start_cell("easy", None, is_watched=False)
        cell = await answer
    assert await world.stored() == cell
    world.session.start_cell("hang", None, is_watched=False)
    while not (await world.rows()):
        await asyncio.sleep(0.01)
    assert (await world.stored()).status == "running"


async def test_a_cell_that_was_not_stored_yet_is_left_to_the_next_process_too(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_module, "CELL_UNSTORED_S", 60)
        events, _ = world.session.start_cell("hang", None, is_watched=False)
        world.sandbox.on_its_way = [Stream("stdout", "said")]
        await until(lambda: of_type(events, "cell_started"))
        assert await world.rows() == []
        await world.session.let_go()
    (cell,) = await world.conversation.close_what_a_crash_left_open()
    assert (cell.status, cell.outputs[0]["text"]) == ("running", "said")


async def test_what_is_on_its_way_when_this_process_ends_is_kept(world: World) -> None:
    """Seen to fail: what came between the last message that was taken and the end of the connection was lost."""
    events, _ = await world.begin()
    world.sandbox.says(Stream("stdout", "a"))
    await until(lambda: of_type(events, "stream"))
    world.sandbox.on_its_way = [Stream("stdout", "b")]
    await world.session.let_go()
    await at_rest(world)
    (cell,) = await world.conversation.close_what_a_crash_left_open()
    assert (cell.status, cell.outputs[0]["text"]) == ("running", "ab")


async def test_a_cell_whose_end_is_on_its_way_when_this_process_ends_has_ended(world: World) -> None:
    """Seen to fail: the next process waited for an end that had been taken, and told the cell as lost."""
    await world.begin()
    world.sandbox.on_its_way = [Stream("stdout", "b"), Reply("ok", 1), State("idle")]
    await world.session.let_go()
    await at_rest(world)
    assert await world.rows() == []
    stored = await world.stored()
    assert (stored.status, stored.outputs[0]["text"]) == ("ok", "b")
