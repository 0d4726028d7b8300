"""The audit log: who asked for what, and what was decided. Entries are added and never changed (migration 0003).

Noting is immediate and never waits: entries gather in a bounded queue, from which a task writes them in batches. What
the queue has no room for is counted; what cannot be written waits, and is tried again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import DatabaseUnavailable
from orchestrator.limits import AUDIT_BATCH_ENTRIES, AUDIT_GATHER_S, AUDIT_QUEUE_ENTRIES, AUDIT_RETRY_S
from orchestrator.metrics import AUDIT_LOST
from orchestrator.store.database import Database
from orchestrator.store.tables import audit

log = structlog.get_logger()
ANONYMOUS = "anonymous"
Decision = Literal["allowed", "denied", "failed"]
_LENGTHS = {"user": 100, "session_id": 64, "action": 40, "decision": 20, "subject": 300, "detail": 500}
_ADD = audit.insert()
_RECENT = select(audit).order_by(audit.c.id.desc()).limit(bindparam("most"))
_RECENT_OF_SESSION = _RECENT.where(audit.c.session_id == bindparam("session"))


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. Texts are cut to what the table holds, and characters that print nothing become U+FFFD."""

    user: str
    action: str
    decision: Decision
    subject: str
    detail: str = ""
    session_id: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        for name, length in _LENGTHS.items():
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, _printable(text[:length]))


_COLUMNS = tuple(one.name for one in fields(AuditEntry))


class AuditLog:
    """The audit log of one process. All calls are made in the event loop's thread."""

    def __init__(self, database: Database, queue_entries: int = AUDIT_QUEUE_ENTRIES) -> None:
        self._database = database
        self._queue_entries = queue_entries
        self._waiting: deque[AuditEntry] = deque()
        self._writing = asyncio.Lock()
        self._noted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_for_ever(), name="audit log")

    async def close(self) -> None:
        """Write what waits; what cannot be written now is counted as lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._write()
        except (SQLAlchemyError, DatabaseUnavailable) as error:
            log.error("audit entries lost", entries=len(self._waiting), reason=str(error))
            AUDIT_LOST.count("not_stored", len(self._waiting))
            self._waiting.clear()

    def note(self, entry: AuditEntry) -> None:
        """Take an entry; it is written soon."""
        if len(self._waiting) >= self._queue_entries:
            AUDIT_LOST.count("queue_full")
            return
        self._waiting.append(entry)
        self._noted.set()

    async def recent(self, limit: int, session_id: str | None = None) -> list[AuditEntry]:
        """Return the newest entries, of one session or of all, the newest first."""
        await self._write()
        statement = _RECENT if session_id is None else _RECENT_OF_SESSION
        keys = {"most": limit} | ({} if session_id is None else {"session": session_id})
        rows = await self._database.transact(lambda connection: connection.execute(statement, keys).all())
        names = [name for name in _COLUMNS if name != "at"]
        return [
            AuditEntry(**{name: getattr(row, name) for name in names}, at=row.at.replace(tzinfo=UTC)) for row in rows
        ]

    async def _write_for_ever(self) -> None:
        while True:
            await self._noted.wait()
            await asyncio.sleep(AUDIT_GATHER_S)
            self._noted.clear()
            try:
                await self._write()
            except (SQLAlchemyError, DatabaseUnavailable) as error:
                log.warning("audit entries wait", entries=len(self._waiting), reason=str(error))
                await asyncio.sleep(AUDIT_RETRY_S)
                self._noted.set()

    async def _write(self) -> None:
        """Write all that waits."""
        # Shielded: whether a batch that was cancelled on its way was stored, nobody could tell.
        await asyncio.shield(self._write_batches())

    async def _write_batches(self) -> None:
        async with self._writing:
            while self._waiting:
                rows = [_values(entry) for entry in islice(self._waiting, AUDIT_BATCH_ENTRIES)]
                await self._database.run_many(_ADD, rows)
                for _ in rows:
                    self._waiting.popleft()


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _values(entry: AuditEntry) -> dict[str, object]:
    values = {name: getattr(entry, name) for name in _COLUMNS}
    return values | {"at": entry.at.astimezone(UTC).replace(tzinfo=None)}
