"""Rows of messages and cells. Statements are built once: building one costs more than SQLite needs to run it."""

from collections.abc import Awaitable
from dataclasses import dataclass, fields, replace
from datetime import UTC
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, select
from sqlalchemy.dialects.postgresql import insert  # SQLite has the same words
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import SessionNotFound
from orchestrator.store.branches import Tree
from orchestrator.store.database import Database
from orchestrator.store.records import ENDING, CellRecord, MessageRecord
from orchestrator.store.tables import cells, messages, sessions, summaries

_OF_SESSION = messages.c.session_id == bindparam("session")
_ADD_MESSAGE = messages.insert()
_SAVE_MESSAGE = (
    messages.update()
    .where(messages.c.id == bindparam("key"))
    .values(status=bindparam("new_status"), parts=bindparam("new_parts"), problem=bindparam("new_problem"))
)
_MESSAGES = select(messages).where(_OF_SESSION).order_by(messages.c.number)
_PLACES = select(messages.c.id, messages.c.parent_id, messages.c.role).where(_OF_SESSION).order_by(messages.c.number)
_MESSAGES_LOST = messages.update().where(messages.c.status == "running").values(status="lost")
_HEAD = select(sessions.c.head).where(sessions.c.id == bindparam("session"))
_SHOW = sessions.update().where(sessions.c.id == bindparam("session")).values(head=bindparam("new_head"))
_SOME: BindParameter[Any] = bindparam("keys", expanding=True)
_MOVE = messages.update().where(messages.c.id.in_(_SOME)).values(parent_id=bindparam("new_parent"))
_DELETE = messages.delete().where(messages.c.id.in_(_SOME))
_DELETE_CELLS = cells.delete().where(cells.c.message_id.in_(_SOME))
_DELETE_SUMMARIES = summaries.delete().where(summaries.c.message_id.in_(_SOME))

_ENDING = ("status", "execution_count", "outputs", "duration_s", "truncated", "files")
_ONE_CELL = cells.c.cell_id == bindparam("key")
_ADD_CELL = insert(cells).on_conflict_do_nothing(index_elements=["cell_id"])
_CELL = insert(cells)
_FINISH_CELL = _CELL.on_conflict_do_update(
    index_elements=["cell_id"], set_={name: _CELL.excluded[name] for name in _ENDING}
)
_SAVE_OUTPUTS = cells.update().where(_ONE_CELL, cells.c.status == "running").values(outputs=bindparam("new_outputs"))
_RUNNING = select(cells).where(cells.c.status.in_(("running", ENDING))).order_by(cells.c.number)
_ABANDON_CELL = cells.delete().where(_ONE_CELL)
_CELLS = select(cells).where(cells.c.session_id == bindparam("session")).order_by(cells.c.number)
_CELL_LOST = cells.update().where(_ONE_CELL).values(status="sandbox_lost")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message hangs."""

    id: str
    parent_id: str | None
    role: str


class ConversationStore:
    """What was said and run in sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_messages(self, *added: MessageRecord) -> None:
        """Add messages, all or none: each hangs on the one before it, the first on what it names. They are shown.

        Raises:
            SessionNotFound: the session was deleted.

        """
        parents = [added[0].parent_id, *(message.id for message in added)]
        rows = [_values(replace(message, parent_id=parent)) for message, parent in zip(added, parents, strict=False)]
        shown = {"session": added[0].session_id, "new_head": added[-1].id}

        def work(connection: Connection) -> None:
            for row in rows:
                connection.execute(_ADD_MESSAGE, row)
            connection.execute(_SHOW, shown)

        await self._of_session(added[0].session_id, self._database.transact(work))

    async def save_message(
        self, message_id: str, status: str, parts: list[dict[str, Any]], problem: dict[str, Any] | None = None
    ) -> None:
        """Write an assistant's message as it is now."""
        values = {"key": message_id, "new_status": status, "new_parts": parts, "new_problem": problem}
        await self._database.insist(_SAVE_MESSAGE, values)

    async def messages(self, session_id: str) -> list[MessageRecord]:
        """Return the branch of a session's messages that is shown, in order."""
        return (await self.tree(session_id)).shown()

    async def tree(self, session_id: str) -> Tree[MessageRecord]:
        """Return all of a session's messages with their branches."""
        keys = {"session": session_id}

        def work(connection: Connection) -> Tree[MessageRecord]:
            rows = connection.execute(_MESSAGES, keys).all()
            found = [MessageRecord(**_columns(row, MessageRecord)) for row in rows]
            return Tree(found, connection.execute(_HEAD, keys).scalar())

        return await self._database.transact(work)

    async def show(self, session_id: str, message_id: str) -> None:
        """Show the youngest branch that goes through a message.

        Raises:
            NotFound: the session has no such message.

        """

        def work(connection: Connection) -> None:
            head = _places(connection, session_id).latest_behind(message_id)
            connection.execute(_SHOW, {"session": session_id, "new_head": head})

        await self._database.transact(work)

    async def delete_turn(self, session_id: str, message_id: str) -> None:
        """Delete a question with its answers and their cells; what followed hangs on what was before.

        Summaries that tell of the turn go, too.

        Raises:
            NotFound: the session has no such message.

        """

        def work(connection: Connection) -> None:
            plan = _places(connection, session_id).without_turn(message_id)
            connection.execute(_MOVE, {"keys": plan.moved, "new_parent": plan.moved_to})
            connection.execute(_DELETE_CELLS, {"keys": plan.gone})
            connection.execute(_DELETE_SUMMARIES, {"keys": (*plan.gone, *plan.behind)})
            connection.execute(_DELETE, {"keys": plan.gone})
            connection.execute(_SHOW, {"session": session_id, "new_head": plan.head})

        await self._database.transact(work)

    async def begin_cell(self, cell: CellRecord) -> None:
        """Add a cell that begins to run."""
        await self._of_session(cell.session_id, self._database.insist(_ADD_CELL, _values(cell)))

    async def _of_session(self, session_id: str, adding: Awaitable[None]) -> None:
        """Add rows to a session, which may have been deleted by now.

        Raises:
            SessionNotFound: it was.

        """
        try:
            await adding
        except IntegrityError as error:
            if "foreign key" in str(error.orig).lower():
                raise SessionNotFound(session_id) from error
            raise

    async def finish_cell(self, cell: CellRecord) -> None:
        """Write how a cell ended, whether or not it was added before."""
        await self._of_session(cell.session_id, self._database.insist(_FINISH_CELL, _values(cell)))

    async def move_cell(self, cell: CellRecord, to: str) -> None:
        """Let what a cell came to stand in the place of an earlier one, with its code; the cell itself is gone then."""
        now = {name: getattr(cell, name) for name in ("code", *_ENDING)}

        def work(connection: Connection) -> None:
            connection.execute(cells.update().where(cells.c.cell_id == to).values(now))
            connection.execute(_ABANDON_CELL, {"key": cell.cell_id})

        await self._database.transact(work)

    async def leave_cell(self, cell: CellRecord) -> None:
        """Write what is told of a cell that was stopped and has not ended in its kernel: who reads it, reads that."""
        await self.finish_cell(replace(cell, status=ENDING))

    async def abandon_cell(self, cell_id: str) -> None:
        """Take back a cell that never ran."""
        await self._database.run(_ABANDON_CELL, {"key": cell_id})

    async def cells(self, session_id: str) -> list[CellRecord]:
        """Return a session's cells in order."""
        keys = {"session": session_id}
        rows = await self._database.transact(lambda connection: connection.execute(_CELLS, keys).all())
        found = [CellRecord(**_columns(row, CellRecord)) for row in rows]
        return [replace(cell, status="interrupted") if cell.status == ENDING else cell for cell in found]

    async def save_outputs(self, cell_id: str, outputs: list[dict[str, Any]]) -> None:
        """Keep what a running cell has put out so far; of one that has ended nothing changes."""
        await self._database.run(_SAVE_OUTPUTS, {"key": cell_id, "new_outputs": outputs})

    async def close_what_a_crash_left_open(self) -> list[CellRecord]:
        """Mark messages that were running when the process ended, and return the cells, which may still run.

        Those that were stopped have the status `ENDING`.
        """

        def work(connection: Connection) -> list[CellRecord]:
            connection.execute(_MESSAGES_LOST)
            return [CellRecord(**_columns(row, CellRecord)) for row in connection.execute(_RUNNING).all()]

        return await self._database.transact(work)

    async def mark_lost(self, cell_id: str) -> None:
        """Say of a cell that was running that nobody knows how it ended."""
        await self._database.run(_CELL_LOST, {"key": cell_id})


def _places(connection: Connection, session_id: str) -> Tree[_Place]:
    """Return a session's tree, as far as it is needed to change it."""
    keys = {"session": session_id}
    rows = connection.execute(_PLACES, keys).all()
    return Tree([_Place(row.id, row.parent_id, row.role) for row in rows], connection.execute(_HEAD, keys).scalar())


def _values(record: MessageRecord | CellRecord) -> dict[str, Any]:
    """Return a record's columns: not through `asdict`, which would copy megabytes of outputs."""
    values = {name: getattr(record, name) for name in record.__slots__}
    values["created_at"] = record.created_at.astimezone(UTC).replace(tzinfo=None)
    return values


def _columns(row: Row[Any], record: type[MessageRecord] | type[CellRecord]) -> dict[str, Any]:
    values = {field.name: getattr(row, field.name) for field in fields(record)}
    return values | {"created_at": values["created_at"].replace(tzinfo=UTC)}
