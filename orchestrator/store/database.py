"""The database: one writer thread, migrations at start, SQLite tuned to lose nothing when the process is killed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, Executable, create_engine, event

_Result = TypeVar("_Result")
_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """Runs pieces of work in transactions, one after the other, in a thread of their own.

    One thread is enough for SQLite, which has one writer anyway, and costs one hop a transaction.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _tune_sqlite)

    async def open(self) -> None:
        """Bring the tables to the current version."""
        await asyncio.get_running_loop().run_in_executor(self._thread, migrate, self._engine)

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()

    async def transact(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction and return its result; an exception rolls it back."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def run(self, statement: Executable, values: dict[str, Any]) -> None:
        """Run one statement in a transaction of its own."""
        await self.transact(lambda connection: connection.execute(statement, values))

    async def run_many(self, statement: Executable, rows: list[dict[str, Any]]) -> None:
        """Run one statement for each row, all or none."""
        await self.transact(lambda connection: connection.execute(statement, rows))

    def _transact(self, work: Callable[[Connection], _Result]) -> _Result:
        with self._engine.begin() as connection:
            return work(connection)


def migrate(engine: Engine) -> None:
    """Run all migrations that the database has not seen. Blocks."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _tune_sqlite(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")
