"""Rows of a conversation that comes as a whole, with the cells that it tells of."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import SessionNotFound
from orchestrator.store.database import Database
from orchestrator.store.records import CellRecord, MessageRecord
from orchestrator.store.tables import cells, messages, sessions


class ImportStore:
    """Conversations on their way into the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session_id: str, said: Sequence[MessageRecord], ran: Sequence[CellRecord]) -> None:
        """Add a conversation to a session that has none, all of it or nothing; it is the branch that is shown.

        Raises:
            SessionNotFound: the session was deleted meanwhile.

        """
        parents = [None, *(message.id for message in said)]
        message_rows = [_row(message) | {"parent_id": parent} for message, parent in zip(said, parents, strict=False)]
        cell_rows = [_row(cell) for cell in ran]

        def work(connection: Connection) -> None:
            for row in cell_rows:
                connection.execute(cells.insert(), row)
            for row in message_rows:
                connection.execute(messages.insert(), row)
            connection.execute(sessions.update().where(sessions.c.id == session_id).values(head=parents[-1]))

        try:
            await self._database.transact(work)
        except IntegrityError as error:
            if "foreign key" in str(error.orig).lower():
                raise SessionNotFound(session_id) from error
            raise


def _row(record: MessageRecord | CellRecord) -> dict[str, Any]:
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    return row | {"created_at": record.created_at.astimezone(UTC).replace(tzinfo=None)}
