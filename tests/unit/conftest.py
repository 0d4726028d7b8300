"""What unit tests share: a database of each kind, empty and up to date, which goes with the test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from orchestrator.store.database import Database
from tests.postgres import Postgres, running_postgres

Ask = Callable[[str], list[tuple[Any, ...]]]


async def _migrated(url: str) -> None:
    database = Database(url)
    await database.open()
    await database.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server with a database `current`, which has all tables."""
    with running_postgres() as server:
        server.execute("CREATE DATABASE current")
        asyncio.run(_migrated(server.url("current")))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the test's own. In PostgreSQL its tables are there already."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'glovebox.sqlite'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.make(like="current")
    yield server.url(name)
    server.drop(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database of each kind."""
    made = Database(database_url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def ask(database_url: str) -> Ask:
    """What asks the database beside the code, as another process would."""

    def asked(statement: str) -> list[tuple[Any, ...]]:
        engine = create_engine(database_url)
        with engine.begin() as connection:
            found = [tuple(row) for row in connection.execute(text(statement)).all()]
        engine.dispose()
        return found

    return asked
