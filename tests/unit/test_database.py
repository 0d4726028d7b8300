"""A database that is busy, away or full: it is waited for, then it is said so, and nothing that was told is lost."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError

from orchestrator.config_database import database_url as url_of
from orchestrator.errors import ConfigError, DatabaseUnavailable
from orchestrator.store.database import Database
from orchestrator.store.sessions import SessionStore
from orchestrator.store.tables import sessions
from orchestrator.store.words import escaped, unescaped
from tests.postgres import Postgres
from tests.unit.conftest import Ask

ADD = sessions.insert()


def row(name: str) -> dict[str, object]:
    texts = dict.fromkeys(("owner", "profile", "token", "kernel_id"), "x")
    now = datetime(2026, 1, 1)  # noqa: DTZ001 - as the database keeps it
    return {"id": name, "name": name, "created_at": now, "last_active_at": now, **texts}


def names(ask: Ask) -> list[str]:
    return [name for (name,) in ask("SELECT name FROM sessions ORDER BY number")]


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Keep everybody else from writing, as another process would."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            connection.exec_driver_sql("LOCK TABLE sessions IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.rollback()
    engine.dispose()


async def test_a_locked_database_is_waited_for(database: Database, database_url: str, ask: Ask) -> None:
    with locked(database_url):
        writing = [asyncio.create_task(database.run(ADD, row(name))) for name in "abc"]
        await asyncio.wait(writing, timeout=1.5)  # longer than the database itself waits
        assert not any(task.done() for task in writing)
    await asyncio.gather(*writing)
    assert sorted(names(ask)) == ["a", "b", "c"]


async def test_a_database_that_stays_locked_is_told_and_all_in_the_queue_give_up_together(
    database: Database, database_url: str, ask: Ask
) -> None:
    if database.dialect == "postgresql":  # so that the server gives up as early
        await database.close()
        database = Database(database_url + "&options=-c%20lock_timeout%3D500")
    with locked(database_url):
        writing = [database.transact(lambda c: c.execute(ADD, row("a")), patience_s=1) for _ in range(20)]
        for found in await asyncio.gather(*writing, return_exceptions=True):
            assert isinstance(found, DatabaseUnavailable), found
            assert (found.status, found.code) == (503, "database_unavailable")
            assert "Nothing was stored; try again" in found.detail
    await database.run(ADD, row("b"))
    assert names(ask) == ["b"]


async def test_what_is_done_already_is_stored_when_the_database_is_free_again(
    database: Database, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, refused = database.run, asyncio.Event()

    async def run_if_free(statement: Any, values: dict[str, Any]) -> None:
        if not free:
            refused.set()
            raise DatabaseUnavailable("It is busy.")
        await run(statement, values)

    free = False
    monkeypatch.setattr(database, "run", run_if_free)
    insisting = asyncio.create_task(database.insist(ADD, row("a")))
    await refused.wait()
    free = True
    await insisting
    assert names(ask) == ["a"]


async def test_whoever_is_cancelled_goes_on_when_its_work_has_ended(database: Database, ask: Ask) -> None:
    """Else a later write of the same row could be overtaken by an earlier one."""
    begun, go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        go_on.wait(20)
        connection.execute(ADD, row("a"))

    first = asyncio.create_task(database.transact(work))
    await asyncio.to_thread(begun.wait, 20)
    for _ in range(3):
        first.cancel()
        await asyncio.sleep(0.05)
    assert not first.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert names(ask) == ["a"]


async def test_a_wrong_statement_and_a_refused_row_are_no_outage(database: Database) -> None:
    await database.run(ADD, row("a"))
    with pytest.raises(IntegrityError):
        await database.run(ADD, row("a"))
    with pytest.raises(Exception, match="nonsense") as raised:
        await database.run(text("SELECT nonsense FROM sessions"), {})
    assert not isinstance(raised.value, DatabaseUnavailable)


@pytest.mark.parametrize("value", ["\x00", "a\x00b\x1a0\x1a1\x1a", "数 😀\u2028\r\n", "\x1a"])
async def test_texts_of_any_kind_are_there_again(database: Database, value: str) -> None:
    store = SessionStore(database)
    made = await store.add("ann", value, "standard")
    assert (await store.get("ann", made.id)).name == value
    assert [one.name for one in await store.list("ann")] == [value]
    assert await store.list("ann\x00") == []


@given(st.text(st.characters(exclude_categories=[])))
def test_an_escaped_text_has_no_nul_and_is_itself_again(value: str) -> None:
    assert "\x00" not in escaped(value)
    assert unescaped(escaped(value)) == value


async def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'full.sqlite'}")
    await database.open()

    def work(connection: Connection) -> None:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.execute(ADD, row("a") | {"name": "x" * 100_000})

    with pytest.raises(DatabaseUnavailable, match="is full"):
        await database.transact(work)
    await database.close()


async def test_a_file_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'x.sqlite'}")
    with pytest.raises(DatabaseUnavailable, match="cannot be read or written"):
        await database.open(patience_s=0.1)
    await database.close()


class TestPostgres:
    """What happens to a server, and to the way to it."""

    async def test_connections_that_were_ended_are_made_again_unseen(self, postgres: Postgres) -> None:
        name = postgres.make(like="current")
        database = Database(postgres.url(name))
        store = SessionStore(database)
        made = await asyncio.gather(*(store.add("ann", str(number), "standard") for number in range(20)))
        for _ in range(3):
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            assert len(await store.list("ann")) == len(made)
        await database.close()
        postgres.drop(name)

    async def test_a_server_that_is_killed_and_comes_back_has_all_that_was_told(self, postgres: Postgres) -> None:
        name = postgres.make(like="current")
        database = Database(postgres.url(name))
        store = SessionStore(database)
        told: set[str] = set()
        stopping = False

        async def keep_adding() -> None:
            while not stopping:
                try:
                    told.add((await store.add("ann", "n", "standard")).id)
                except DatabaseUnavailable as error:
                    assert "nobody knows" in error.detail, error.detail

        writers = [asyncio.create_task(keep_adding()) for _ in range(8)]
        for _ in range(2):
            before = len(told)
            while len(told) < before + 50:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(postgres.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.start)
        stopping = True
        await asyncio.gather(*writers)
        assert told <= await store.all_ids()
        await database.close()
        postgres.drop(name)

    async def test_a_server_that_is_not_there_is_told_in_words(self, tmp_path: Path) -> None:
        database = Database(f"postgresql+psycopg://glovebox:sesame@/x?host={tmp_path}")
        with pytest.raises(DatabaseUnavailable, match="does not answer") as raised:
            await database.open(patience_s=0.5)
        assert "sesame" not in raised.value.detail
        await database.close()

    async def test_a_commit_that_broke_off_is_not_tried_again_by_itself(self, postgres: Postgres) -> None:
        """It may have been stored: a message must not be there twice."""
        name = postgres.make(like="current")
        database = Database(postgres.url(name))
        runs = []

        def work(connection: Connection) -> None:
            runs.append(1)
            connection.execute(ADD, row("a"))
            (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
            postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

        with pytest.raises(DatabaseUnavailable, match="nobody knows"):
            await database.transact(work)
        assert len(runs) == 1
        await database.close()
        postgres.drop(name)

    async def test_two_processes_that_start_at_once_make_the_tables_once(self, postgres: Postgres) -> None:
        name = postgres.make()
        databases = [Database(postgres.url(name)) for _ in range(3)]
        await asyncio.gather(*(database.open() for database in databases))
        assert await SessionStore(databases[0]).all_ids() == set()
        for database in databases:
            await database.close()
        postgres.drop(name)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "sqlite:////data/glovebox.sqlite"),
        ("", "sqlite:////data/glovebox.sqlite"),
        ("postgresql://a:b@db:5432/glovebox", "postgresql+psycopg://a:b@db:5432/glovebox"),
        ("postgres://db/glovebox?sslmode=require", "postgresql+psycopg://db/glovebox?sslmode=require"),
        ("postgresql+psycopg:///glovebox?host=/run/pg", "postgresql+psycopg:///glovebox?host=/run/pg"),
    ],
)
def test_the_url_names_the_database(given: str | None, expected: str) -> None:
    assert url_of(given, Path("/data")) == expected


@pytest.mark.parametrize(
    "given", ["x", "mysql://a:sesame@b/c", "postgresql://a:sesame@b", "postgresql://a:sesame@[b/c"]
)
def test_a_url_that_makes_no_sense_is_refused_without_telling_it(given: str) -> None:
    with pytest.raises(ConfigError, match="GLOVEBOX_DATABASE_URL") as raised:
        url_of(given, Path("/data"))
    assert "sesame" not in raised.value.detail
