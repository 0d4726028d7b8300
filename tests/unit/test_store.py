"""The store on both real databases: what is written stays, owners are apart, and a crash leaves nothing open."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import SessionNotFound
from orchestrator.lines.messages import FIRST_UID
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database, migrate
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.store.sessions import NOBODY, SessionStore
from orchestrator.store.tables import metadata
from tests.unit.conftest import Ask

LATEST = "0008"  # migration
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Store:
    """The stores on one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions = SessionStore(database)
        self.conversation = ConversationStore(database)


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


async def reopened(database_url: str) -> Store:
    """Open the database as the next process does."""
    database = Database(database_url)
    await database.open()
    return Store(database)


def message(message_id: str, session: SessionRecord, role: str = "user", **fields: Any) -> MessageRecord:
    return MessageRecord(message_id, session.id, role, NOW, **fields)


def cell(cell_id: str, session: SessionRecord, **fields: Any) -> CellRecord:
    values: dict[str, Any] = {"message_id": None, "code": "1"}
    return CellRecord(cell_id=cell_id, session_id=session.id, created_at=NOW, **(values | fields))


def test_the_migrations_make_just_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = create_engine(database_url)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
        for table in metadata.sorted_tables:
            if foreign := list(table.foreign_key_constraints):
                made = found.get_foreign_keys(table.name)
                assert [key["options"].get("ondelete") for key in made] == [one.ondelete for one in foreign]
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    engine = create_engine(database_url)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").all() == [(LATEST,)]
    engine.dispose()


async def test_what_is_stored_survives_a_killed_process(store: Store, database_url: str, ask: Ask) -> None:
    made = await store.sessions.add("ann", "Sales", "standard")
    if store.database.dialect == "sqlite":
        assert ask("PRAGMA journal_mode") == [("wal",)]
    other = await reopened(database_url)  # while the first still has it open, as after a kill
    assert await other.sessions.get("ann", made.id) == made
    await other.database.close()


async def test_a_session_is_there_again_as_it_was_made(store: Store) -> None:
    before = datetime.now(UTC)
    made = await store.sessions.add("ann", "Sales 数 😀", "standard")
    assert await store.sessions.get("ann", made.id) == made
    assert (made.owner, made.name, made.profile) == ("ann", "Sales 数 😀", "standard")
    assert (len(made.id), len(made.token), len(made.kernel_id)) == (32, 64, 36)
    assert before <= made.created_at == made.last_active_at <= datetime.now(UTC)


async def test_another_owners_session_does_not_exist(store: Store) -> None:
    made = await store.sessions.add("ann", "Hers", "standard")
    for owner, session_id in (
        ("bob", made.id),
        ("", made.id),
        ("ANN", made.id),
        ("ann", "x"),
        ("ann", "%"),
        ("%", made.id),
    ):
        with pytest.raises(SessionNotFound):
            await store.sessions.get(owner, session_id)
    assert await store.sessions.list("bob") == []
    assert [one.id for one in await store.sessions.list("ann")] == [made.id]


async def test_all_ids_are_those_of_all_owners(store: Store) -> None:
    made = {(await store.sessions.add(owner, "n", "standard")).id for owner in ("ann", "bob")}
    assert await store.sessions.all_ids() == made


async def test_the_most_recently_used_session_comes_first(store: Store) -> None:
    one, two, three = [await store.sessions.add("ann", name, "standard") for name in "123"]
    await store.sessions.touch(one.id)
    assert [found.id for found in await store.sessions.list("ann")] == [one.id, three.id, two.id]
    assert (await store.sessions.get("ann", one.id)).last_active_at > one.last_active_at


async def test_a_change_changes_what_it_names_alone(store: Store) -> None:
    made = await store.sessions.add("ann", "old", "standard")
    other = await store.sessions.add("ann", "other", "standard")
    assert (made.model, made.approval, made.instructions) == (None, "auto", "")
    await store.sessions.change(made.id, {"name": "new'; DROP TABLE sessions; --"})
    assert await store.sessions.get("ann", made.id) == replace(made, name="new'; DROP TABLE sessions; --")
    await store.sessions.change(made.id, {"name": "n", "model": "m", "approval": "ask", "instructions": "数\n"})
    changed = replace(made, name="n", model="m", approval="ask", instructions="数\n")
    assert await store.sessions.get("ann", made.id) == changed
    await store.sessions.change(made.id, {})
    await store.sessions.change(made.id, {"model": None})
    assert await store.sessions.get("ann", made.id) == replace(changed, model=None)
    assert await store.sessions.get("ann", other.id) == other


async def test_what_is_known_of_a_session_is_forgotten_with_every_change(store: Store) -> None:
    made = await store.sessions.add("ann", "old", "standard")
    assert await store.sessions.get("ann", made.id) == await store.sessions.get("ann", made.id) == made
    with pytest.raises(SessionNotFound):
        await store.sessions.get("bob", made.id)
    await store.sessions.touch(made.id)
    assert (await store.sessions.get("ann", made.id)).last_active_at > made.last_active_at
    renewed = await store.sessions.renew_gateway(made)
    assert renewed.token != made.token
    assert (await store.sessions.get("ann", made.id)).token == renewed.token
    await store.sessions.delete(made.id)
    with pytest.raises(SessionNotFound):
        await store.sessions.get("ann", made.id)


async def test_a_session_that_is_read_while_it_changes_is_read_again(store: Store) -> None:
    made = await store.sessions.add("ann", "old", "standard")
    for number in range(20):
        name = f"name {number}"
        reads = [store.sessions.get("ann", made.id) for _ in range(3)]
        await asyncio.gather(*reads, store.sessions.change(made.id, {"name": name}), store.sessions.get("ann", made.id))
        assert (await store.sessions.get("ann", made.id)).name == name


async def test_a_waiting_session_is_its_owners_at_once(store: Store) -> None:
    waiting = await store.sessions.add_waiting("standard")
    assert (await store.sessions.get(NOBODY, waiting.id)).owner == NOBODY
    await store.sessions.claim(waiting.id, "ann", "n")
    assert (await store.sessions.get("ann", waiting.id)).name == "n"
    with pytest.raises(SessionNotFound):
        await store.sessions.get(NOBODY, waiting.id)


async def test_each_session_has_a_uid_token_and_kernel_id_of_its_own(store: Store) -> None:
    made = [await store.sessions.add("ann", "n", "standard") for _ in range(20)]
    for name in ("id", "uid", "token", "kernel_id"):
        assert len({getattr(one, name) for one in made}) == 20
    assert min(one.uid for one in made) > FIRST_UID


async def test_a_uid_is_never_used_again(store: Store, database_url: str) -> None:
    seen: set[int] = set()
    for _ in range(3):
        made = [await store.sessions.add("ann", "n", "standard") for _ in range(3)]
        uids = {one.uid for one in made}
        assert min(uids) > max(seen, default=0)
        seen |= uids
        for one in made:
            await store.sessions.delete(one.id)
    other = await reopened(database_url)
    assert (await other.sessions.add("bob", "n", "standard")).uid > max(seen)
    await other.database.close()


async def test_sessions_made_at_the_same_time_have_different_uids(store: Store) -> None:
    made = await asyncio.gather(*(store.sessions.add("ann", "n", "standard") for _ in range(30)))
    assert len({one.uid for one in made}) == 30


async def test_the_next_gateway_gets_a_token_and_a_kernel_id_that_no_earlier_one_knew(store: Store) -> None:
    made = await store.sessions.add("ann", "n", "standard")
    renewed = await store.sessions.renew_gateway(made)
    assert replace(renewed, token=made.token, kernel_id=made.kernel_id) == made
    assert renewed.token != made.token and renewed.kernel_id != made.kernel_id
    assert await store.sessions.get("ann", made.id) == renewed


async def test_messages_are_there_again_in_their_order(store: Store, database_url: str) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    question = message("q", session, content="How? 数\x00\u2028", attachments=["a.csv"], model="m")
    answer = message("a", session, "assistant", model="m", status="running")
    await store.conversation.add_messages(question, answer)
    await store.conversation.add_messages(message("0", session, parent_id="a"))
    assert [one.id for one in await store.conversation.messages(session.id)] == ["q", "a", "0"]
    parts: list[dict[str, Any]] = [{"type": "text", "round": 0, "text": "Hm. \ud83d 😀"}, {"type": "cell", "n": 1.5}]
    problem = {"code": "model_failed", "status": 502}
    await store.conversation.save_message("a", "failed", parts, problem)
    other = await reopened(database_url)
    expected = replace(answer, status="failed", parts=parts, problem=problem, parent_id="q")
    found = await other.conversation.messages(session.id)
    assert found == [question, expected, message("0", session, parent_id="a")]
    await other.database.close()


async def test_messages_are_added_all_or_none(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    await store.conversation.add_messages(message("q", session))
    with pytest.raises(IntegrityError):
        await store.conversation.add_messages(message("new", session), message("q", session))
    assert [one.id for one in await store.conversation.messages(session.id)] == ["q"]


async def test_nothing_is_added_to_a_session_that_is_gone(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    await store.sessions.delete(session.id)
    with pytest.raises(SessionNotFound):
        await store.conversation.add_messages(message("q", session))
    with pytest.raises(SessionNotFound):
        await store.conversation.begin_cell(cell("c", session))


async def test_a_cell_is_there_while_it_runs_and_when_it_has_ended(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    begun = cell("c", session, code="print('数')", message_id="a")
    await store.conversation.begin_cell(begun)
    assert await store.conversation.cells(session.id) == [begun]
    output = {"output_type": "display_data", "data": {"text/plain": "😀" * 1000}, "metadata": {}}
    files = [{"path": "a", "size": 1, "change": "created"}]
    ended = replace(
        begun, status="ok", execution_count=3, outputs=[output], duration_s=0.25, truncated=True, files=files
    )
    await store.conversation.finish_cell(ended)
    assert await store.conversation.cells(session.id) == [ended]


async def test_a_cell_that_never_ran_is_taken_back(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    for cell_id in ("1", "2"):
        await store.conversation.begin_cell(cell(cell_id, session))
    await store.conversation.abandon_cell("1")
    assert [one.cell_id for one in await store.conversation.cells(session.id)] == ["2"]


async def test_a_cell_that_is_run_where_it_stands_is_one_cell_afterwards(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    for cell_id in ("1", "2"):
        await store.conversation.begin_cell(cell(cell_id, session, message_id="a"))
    again = cell("3", session, code="2")
    await store.conversation.begin_cell(again)
    ended = replace(again, status="ok", execution_count=3, duration_s=0.25)
    await store.conversation.finish_cell(ended)
    await store.conversation.move_cell(ended, "1")
    first, second = await store.conversation.cells(session.id)
    assert first == replace(ended, cell_id="1", message_id="a")
    assert second.cell_id == "2"


async def test_times_are_kept_in_utc_to_the_microsecond(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    await store.conversation.begin_cell(replace(cell("c", session), created_at=elsewhere))
    (found,) = await store.conversation.cells(session.id)
    assert (found.created_at, found.created_at.tzinfo) == (NOW, UTC)


async def test_a_session_that_waits_is_nobodys_until_exactly_one_claims_it(store: Store) -> None:
    waiting = await store.sessions.add_waiting("standard")
    assert await store.sessions.waiting_ids() == {waiting.id}
    assert await store.sessions.list("ann") == []
    with pytest.raises(SessionNotFound):
        await store.sessions.get("ann", waiting.id)
    results = await asyncio.gather(
        *(store.sessions.claim(waiting.id, owner, "n") for owner in ("ann", "bob")), return_exceptions=True
    )
    (claimed,) = [one for one in results if not isinstance(one, BaseException)]
    assert [type(one) for one in results if isinstance(one, BaseException)] == [SessionNotFound]
    assert (claimed.id, claimed.uid, claimed.token, claimed.name) == (waiting.id, waiting.uid, waiting.token, "n")
    assert claimed.created_at >= waiting.created_at
    assert await store.sessions.waiting_ids() == set()


async def test_what_ran_when_the_process_was_killed_is_marked_at_the_next_start(store: Store) -> None:
    session = await store.sessions.add("ann", "n", "standard")
    statuses = ["running", "done", "failed", "stopped"]
    await store.conversation.add_messages(*[message(one, session, "assistant", status=one) for one in statuses])
    for status in ("running", "ok", "error"):
        await store.conversation.begin_cell(cell(status, session, status=status, outputs=[{"a": 1}]))
    for _ in range(2):
        (left,) = await store.conversation.close_what_a_crash_left_open()
        assert (left.cell_id, left.status, left.outputs) == ("running", "running", [{"a": 1}])
    await store.conversation.save_outputs("running", [{"a": 2}])
    await store.conversation.save_outputs("ok", [{"a": 2}])
    await store.conversation.mark_lost("running")
    messages = {one.id: one.status for one in await store.conversation.messages(session.id)}
    assert messages == {"running": "lost", "done": "done", "failed": "failed", "stopped": "stopped"}
    cells = {one.cell_id: (one.status, one.outputs) for one in await store.conversation.cells(session.id)}
    assert cells == {"running": ("sandbox_lost", [{"a": 2}]), "ok": ("ok", [{"a": 1}]), "error": ("error", [{"a": 1}])}


async def test_deleting_a_session_takes_its_messages_and_cells_and_nobody_elses(store: Store, ask: Ask) -> None:
    gone, kept = [await store.sessions.add("ann", name, "standard") for name in ("gone", "kept")]
    for session in (gone, kept):
        await store.conversation.add_messages(message(f"q{session.name}", session))
        await store.conversation.begin_cell(cell(f"c{session.name}", session))
    await store.sessions.delete(gone.id)
    with pytest.raises(SessionNotFound):
        await store.sessions.get("ann", gone.id)
    assert [ask(f"SELECT count(*) FROM {table}") for table in ("sessions", "messages", "cells")] == [[(1,)]] * 3
    assert [one.id for one in await store.conversation.messages(kept.id)] == ["qkept"]
    assert await store.conversation.messages(gone.id) == await store.conversation.cells(gone.id) == []


async def test_work_that_fails_leaves_nothing_behind(store: Store) -> None:
    def work(connection: Any) -> None:
        connection.exec_driver_sql(
            "INSERT INTO sessions (id, owner, name, profile, token, kernel_id, created_at, last_active_at) "
            "VALUES ('x', 'ann', '', '', '', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.database.transact(work)
    assert await store.sessions.all_ids() == set()
