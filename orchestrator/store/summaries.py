"""Rows of summaries: what stands for a branch's beginning, up to and with a message."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import bindparam, select

from orchestrator.store.database import Database
from orchestrator.store.tables import summaries

_OF_SESSION = summaries.c.session_id == bindparam("session")
_ADD = summaries.insert()
_ALL = select(summaries.c.message_id, summaries.c.text).where(_OF_SESSION).order_by(summaries.c.number)
_FORGET = summaries.delete().where(_OF_SESSION)


class SummaryStore:
    """Summaries in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session_id: str, message_id: str, text: str) -> None:
        """Keep what stands for everything up to and with a message."""
        now = datetime.now(UTC).replace(tzinfo=None)
        row = {"session_id": session_id, "message_id": message_id, "text": text, "created_at": now}
        await self._database.run(_ADD, row)

    async def on_branch(self, session_id: str, messages: Collection[str]) -> dict[str, str]:
        """Return the summaries of a branch, by the last message that each covers; the newest of several counts."""
        keys = {"session": session_id}
        rows = await self._database.transact(lambda connection: connection.execute(_ALL, keys).all())
        return {row.message_id: row.text for row in rows if row.message_id in messages}

    async def forget(self, session_id: str) -> None:
        """Forget all summaries of a session: something that they may speak of was deleted from it."""
        await self._database.run(_FORGET, {"session": session_id})
