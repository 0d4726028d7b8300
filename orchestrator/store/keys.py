"""Rows of keys that people brought for a provider. What is kept is sealed; the store never sees a key."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select

from orchestrator.store.database import Database
from orchestrator.store.tables import user_keys

_ADD = user_keys.insert()
_THIS = (user_keys.c.user_id == bindparam("whose"), user_keys.c.provider == bindparam("where_to"))
_REMOVE = user_keys.delete().where(*_THIS)
_ALL = select(user_keys).where(user_keys.c.user_id == bindparam("whose")).order_by(user_keys.c.provider)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, sealed; `hint` is what of it may be shown."""

    provider: str
    sealed: str
    hint: str
    created_at: datetime


class KeyStore:
    """People's keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, user_id: str, provider: str, sealed: str, hint: str) -> None:
        """Keep a key in the place of the one before."""
        now = datetime.now(UTC).replace(tzinfo=None)
        row = {"user_id": user_id, "provider": provider, "sealed": sealed, "hint": hint, "created_at": now}

        def work(connection: Connection) -> None:
            connection.execute(_REMOVE, {"whose": user_id, "where_to": provider})
            connection.execute(_ADD, row)

        await self._database.transact(work)

    async def remove(self, user_id: str, provider: str) -> None:
        """Forget a key."""
        await self._database.run(_REMOVE, {"whose": user_id, "where_to": provider})

    async def of(self, user_id: str) -> list[KeyRecord]:
        """Return somebody's keys, by provider."""
        keys = {"whose": user_id}
        rows = await self._database.transact(lambda connection: connection.execute(_ALL, keys).all())
        return [KeyRecord(row.provider, row.sealed, row.hint, row.created_at.replace(tzinfo=UTC)) for row in rows]
