"""The database: pieces of work in transactions, migrations at start, and patience with a database that is busy or away.

SQLite is tuned to lose nothing when the process is killed, and has one thread: it has one writer anyway. PostgreSQL has
a connection for each of several threads. A piece of work whose transaction is known to have come to nothing (another
process held the lock, the server was restarted) is run again until its time is over; whoever asked hears of it then.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from orchestrator.errors import DatabaseUnavailable
from orchestrator.limits import (
    DATABASE_CONNECTIONS,
    DATABASE_INSISTS_S,
    DATABASE_PATIENCE_S,
    DATABASE_RETRY_S,
    DATABASE_START_S,
    DATABASE_STATEMENT_S,
)
from orchestrator.store.outages import outage_of
from orchestrator.store.workers import Workers

log = structlog.get_logger()
_Result = TypeVar("_Result")
_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATING = 6_715_210  # the number of PostgreSQL's lock, which nobody else takes
_SQLITE_WAITS_MS = 500  # the rest of the patience is ours: who only reads gets through in between


class Database:
    """Runs pieces of work in transactions, in threads of their own."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = create_engine(self._url) if sqlite else _pooled(self._url)
        self._workers = Workers(1 if sqlite else DATABASE_CONNECTIONS, "database")
        self._of_thread = threading.local()
        self.dialect = self._url.get_backend_name()
        if sqlite:
            event.listen(self._engine, "connect", _tune_sqlite)

    async def open(self, patience_s: float = DATABASE_START_S) -> None:
        """Bring the tables to the current version.

        Raises:
            DatabaseUnavailable: the database does not answer.

        """
        await self._patiently(partial(migrate, self._engine), patience_s)

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
        await self._workers.close()
        self._engine.dispose()

    async def transact(self, work: Callable[[Connection], _Result], patience_s: float = DATABASE_PATIENCE_S) -> _Result:
        """Run `work` in a transaction and return its result; an exception rolls it back.

        It may be run more than once, of which at most one counts. When this is cancelled, it has ended or never began.

        Raises:
            DatabaseUnavailable: the database was busy or away for too long.

        """
        return await self._patiently(partial(self._transact, work), patience_s)

    async def run(self, statement: Executable, values: dict[str, Any]) -> None:
        """Run one statement in a transaction of its own. Raises DatabaseUnavailable."""
        await self.transact(lambda connection: connection.execute(statement, values))

    async def run_many(self, statement: Executable, rows: list[dict[str, Any]]) -> None:
        """Run one statement for each row, all or none. Raises DatabaseUnavailable."""
        await self.transact(lambda connection: connection.execute(statement, rows))

    async def insist(self, statement: Executable, values: dict[str, Any]) -> None:
        """Run one statement that can as well run twice; it is tried for as long as what it stores can be kept.

        Raises:
            DatabaseUnavailable: the database was away for minutes.

        """
        give_up_at = time.monotonic() + DATABASE_INSISTS_S
        while True:
            try:
                return await self.run(statement, values)
            except DatabaseUnavailable as error:
                if time.monotonic() > give_up_at:
                    raise
                log.warning("the database keeps a result waiting", reason=error.detail)
            await asyncio.sleep(DATABASE_RETRY_S)

    async def _patiently(self, job: Callable[[], _Result], patience_s: float) -> _Result:
        """Run a job, again and again while it comes to nothing and there is time; others have turns between."""
        give_up_at = time.monotonic() + patience_s

        def in_time() -> _Result:
            if time.monotonic() > give_up_at:  # it waited behind others that did not get through either
                raise DatabaseUnavailable("The database has been too busy. Nothing was stored; try again in a moment.")
            return job()

        while True:
            try:
                return await self._workers.run(in_time)
            except _NotStored as error:
                if time.monotonic() + DATABASE_RETRY_S > give_up_at or not error.passes:
                    raise DatabaseUnavailable(error.detail) from error.__cause__
            await asyncio.sleep(DATABASE_RETRY_S)

    def _transact(self, work: Callable[[Connection], _Result]) -> _Result:
        committing = False
        try:
            with self._own_connection() as connection, connection.begin() as transaction:
                result = work(connection)
                committing = True
                transaction.commit()
                return result
        except DBAPIError as error:
            outage = outage_of(error)
            if outage is None:
                raise
            if committing and not outage.undone:
                raise DatabaseUnavailable(
                    "The database went away while it stored this, so nobody knows whether it did. Look before you try "
                    "again."
                ) from error
            raise _NotStored(outage.detail, passes=outage.passes) from error

    @contextmanager
    def _own_connection(self) -> Iterator[Connection]:
        """Yield this thread's connection: the way out of the pool and back takes as long as a small statement.

        After an error it goes back all the same, since the pool knows which connections are of no more use.
        """
        mine = self._of_thread.__dict__
        connection: Connection = mine.get("connection") or self._engine.connect()
        mine["connection"] = None
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        mine["connection"] = connection


class _NotStored(Exception):
    """A transaction came to nothing, since the database is not up to it now."""

    def __init__(self, detail: str, *, passes: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.passes = passes


def migrate(engine: Engine) -> None:
    """Run all migrations that the database has not seen. Blocks."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # a command may be at it in another process
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if (outage := outage_of(error)) is None:
            raise
        raise _NotStored(outage.detail, passes=outage.passes) from error


def _pooled(url: URL) -> Engine:
    """Return an engine for PostgreSQL. What the URL says for itself is left as it is."""
    wanted = {
        "connect_timeout": "5",
        "application_name": "glovebox",
        # A server that went without a word is noticed; without these the kernel would wait for a quarter of an hour.
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
        "options": f"-c statement_timeout={DATABASE_STATEMENT_S}s -c lock_timeout={DATABASE_STATEMENT_S}s",
    }
    given = {name: value for name, value in wanted.items() if name not in url.query}
    return create_engine(url, pool_size=DATABASE_CONNECTIONS, max_overflow=0, connect_args=given)


def _tune_sqlite(connection: Any, _record: object) -> None:
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_SQLITE_WAITS_MS}")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
