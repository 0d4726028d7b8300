"""Rows of grants: who may read a session beside its owner."""

from datetime import UTC, datetime

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert  # SQLite has the same words

from orchestrator.store.database import Database
from orchestrator.store.tables import session_shares, users

_COLUMNS = session_shares.c
_GRANT = insert(session_shares).on_conflict_do_nothing()
_WITHDRAW = session_shares.delete().where(
    _COLUMNS.session_id == bindparam("session"), _COLUMNS.user_id == bindparam("reader")
)
_READERS = (
    select(users.c.name)
    .join(session_shares, users.c.id == _COLUMNS.user_id)
    .where(_COLUMNS.session_id == bindparam("session"))
    .order_by(users.c.name)
)


class ShareStore:
    """Grants in the database. They go with their session and with their reader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grant(self, session_id: str, user_id: str) -> None:
        """Let somebody read a session."""
        now = datetime.now(UTC).replace(tzinfo=None)
        await self._database.run(_GRANT, {"session_id": session_id, "user_id": user_id, "created_at": now})

    async def withdraw(self, session_id: str, user_id: str) -> None:
        """Let somebody read a session no more."""
        await self._database.run(_WITHDRAW, {"session": session_id, "reader": user_id})

    async def readers(self, session_id: str) -> list[str]:
        """Return the names of those who may read a session, its owner not among them."""
        keys = {"session": session_id}
        return list(await self._database.transact(lambda connection: connection.scalars(_READERS, keys).all()))
