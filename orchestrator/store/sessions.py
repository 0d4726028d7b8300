"""Rows of sessions. Statements are built once: building one costs more than SQLite needs to run it."""

import builtins
import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from orchestrator.errors import SessionNotFound
from orchestrator.lines.messages import FIRST_UID
from orchestrator.store.database import Database
from orchestrator.store.records import SessionRecord
from orchestrator.store.remembered import Remembered
from orchestrator.store.tables import session_shares, sessions, users

# Owns the sessions whose sandboxes wait, warm, for somebody.
NOBODY = ""
_COLUMNS = sessions.c
_ONE = _COLUMNS.id == bindparam("key")
_INSERT = sessions.insert()
_GET = select(sessions).where(_ONE, _COLUMNS.owner == bindparam("owner"))
_LIST = select(sessions).where(_COLUMNS.owner == bindparam("owner")).order_by(_COLUMNS.last_active_at.desc())
_SHARED = (
    select(sessions, users.c.name.label("shared_by"))
    .join(session_shares, session_shares.c.session_id == _COLUMNS.id)
    .join(users, users.c.id == _COLUMNS.owner)
    .where(session_shares.c.user_id == bindparam("reader"))
    .order_by(_COLUMNS.last_active_at.desc())
)
_ONE_SHARED = _SHARED.where(_ONE)
_SOME = select(sessions).where(_COLUMNS.id.in_(bindparam("keys", expanding=True)))
_IDS = select(_COLUMNS.id)
_WAITING = select(_COLUMNS.id).where(_COLUMNS.owner == NOBODY)
_CLAIM = (
    sessions.update()
    .where(_ONE, _COLUMNS.owner == NOBODY)
    .values(
        owner=bindparam("new_owner"),
        name=bindparam("new_name"),
        created_at=bindparam("now"),
        last_active_at=bindparam("now"),
    )
    .returning(sessions)
)
_TOUCH = sessions.update().where(_ONE).values(last_active_at=bindparam("now"))
_RENEW = sessions.update().where(_ONE).values(token=bindparam("new_token"), kernel_id=bindparam("new_kernel_id"))
_USAGE = select(_COLUMNS.egress_bytes_up, _COLUMNS.egress_bytes_down).where(_ONE)
_USED: dict[str, Any] = {"egress_bytes_up": bindparam("bytes_up"), "egress_bytes_down": bindparam("bytes_down")}
_NOTE_USAGE = sessions.update().where(_ONE).values(_USED)
_DELETE = sessions.delete().where(_ONE)


class SessionStore:
    """Sessions in the database. A session of another owner does not exist for the asker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Remembered[SessionRecord]()

    async def add(self, owner: str, name: str, profile: str) -> SessionRecord:
        """Make a session."""
        now = _now()
        values = {
            "id": uuid.uuid4().hex,
            "owner": owner,
            "name": name,
            "profile": profile,
            "token": secrets.token_hex(32),
            "kernel_id": str(uuid.uuid4()),
            "created_at": now,
            "last_active_at": now,
        }

        def work(connection: Connection) -> SessionRecord:
            connection.execute(_INSERT, values)
            return _record(connection.execute(_GET, {"key": values["id"], "owner": owner}).one())

        return await self._database.transact(work)

    async def add_waiting(self, profile: str) -> SessionRecord:
        """Make a session that nobody owns yet: its sandbox is to be warm when somebody asks for one."""
        return await self.add(NOBODY, "", profile)

    async def claim(self, session_id: str, owner: str, name: str) -> SessionRecord:
        """Give a waiting session to its owner.

        Raises:
            SessionNotFound: it does not wait (any more).

        """
        keys = {"key": session_id, "new_owner": owner, "new_name": name, "now": _now()}

        with self._known.changing(session_id):
            row = await self._database.transact(lambda connection: connection.execute(_CLAIM, keys).one_or_none())
        if row is None:
            raise SessionNotFound(session_id)
        claimed = _record(row)
        self._known.keep(session_id, claimed, self._known.writes)
        return claimed

    async def waiting_ids(self) -> set[str]:
        """Return the ids of the sessions that nobody owns."""
        return set(await self._database.transact(lambda connection: connection.scalars(_WAITING).all()))

    async def get(self, owner: str, session_id: str) -> SessionRecord:
        """Return a session.

        Raises:
            SessionNotFound: there is none, or it is somebody else's.

        """
        known = self._known.get(session_id)
        if known is not None and known.owner == owner:
            return known
        keys, writes = {"key": session_id, "owner": owner}, self._known.writes
        row = await self._database.transact(lambda connection: connection.execute(_GET, keys).one_or_none())
        if row is None:
            raise SessionNotFound(session_id)
        record = _record(row)
        self._known.keep(session_id, record, writes)
        return record

    async def some(self, ids: Iterable[str]) -> list[SessionRecord]:
        """Return the sessions with these ids, whoever owns them."""
        keys = {"keys": [*ids]}
        rows = await self._database.transact(lambda connection: connection.execute(_SOME, keys).all())
        return [_record(row) for row in rows]

    async def list(self, owner: str) -> list[SessionRecord]:
        """Return an owner's sessions, most recently used first."""
        rows = await self._database.transact(lambda connection: connection.execute(_LIST, {"owner": owner}).all())
        return [_record(row) for row in rows]

    async def get_shared(self, reader: str, session_id: str) -> tuple[SessionRecord, str]:
        """Return a session that somebody shares with this reader, and who.

        Raises:
            SessionNotFound: there is none that is shared with them.

        """
        keys = {"key": session_id, "reader": reader}
        row = await self._database.transact(lambda connection: connection.execute(_ONE_SHARED, keys).one_or_none())
        if row is None:
            raise SessionNotFound(session_id)
        return _record(row), row.shared_by

    async def list_shared(self, reader: str) -> builtins.list[tuple[SessionRecord, str]]:
        """Return the sessions that others share with this reader, and who, most recently used first."""
        rows = await self._database.transact(lambda connection: connection.execute(_SHARED, {"reader": reader}).all())
        return [(_record(row), row.shared_by) for row in rows]

    async def all_ids(self) -> set[str]:
        """Return the ids of all owners' sessions."""
        return set(await self._database.transact(lambda connection: connection.scalars(_IDS).all()))

    async def change(self, session_id: str, changes: Mapping[str, str | None]) -> None:
        """Set some of `name`, `model`, `approval` and `instructions`."""
        if changes:
            with self._known.changing(session_id):
                await self._database.run(sessions.update().where(_ONE).values(**changes), {"key": session_id})

    async def touch(self, session_id: str) -> None:
        """Note that a session is used now."""
        now = _now()
        with self._known.changing(session_id):
            await self._database.run(_TOUCH, {"key": session_id, "now": now})

    async def egress_usage(self, session_id: str) -> tuple[int, int]:
        """Return the bytes that a session has sent out and fetched so far."""
        row = await self._database.transact(lambda connection: connection.execute(_USAGE, {"key": session_id}).one())
        return row.egress_bytes_up, row.egress_bytes_down

    async def note_egress_usage(self, session_id: str, bytes_up: int, bytes_down: int) -> None:
        """Keep how many bytes a session has sent out and fetched."""
        await self._database.run(_NOTE_USAGE, {"key": session_id, "bytes_up": bytes_up, "bytes_down": bytes_down})

    async def renew_gateway(self, record: SessionRecord) -> SessionRecord:
        """Give the session's next gateway a token and a kernel id that no earlier one knew."""
        fresh = {"new_token": secrets.token_hex(32), "new_kernel_id": str(uuid.uuid4())}
        with self._known.changing(record.id):
            await self._database.run(_RENEW, {"key": record.id, **fresh})
        return await self.get(record.owner, record.id)

    async def delete(self, session_id: str) -> None:
        """Delete a session with its messages and cells."""
        with self._known.changing(session_id):
            await self._database.run(_DELETE, {"key": session_id})


def _record(row: Row[Any]) -> SessionRecord:
    return SessionRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        profile=row.profile,
        uid=FIRST_UID + row.number,
        token=row.token,
        kernel_id=row.kernel_id,
        created_at=row.created_at.replace(tzinfo=UTC),
        last_active_at=row.last_active_at.replace(tzinfo=UTC),
        model=row.model,
        approval=row.approval,
        instructions=row.instructions,
    )


def _now() -> datetime:
    """Return the time as the database keeps it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
