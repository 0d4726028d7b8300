"""Which errors of a database say that it cannot work now, as opposed to that it was asked for something impossible."""

import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, OperationalError


@dataclass(frozen=True, slots=True)
class Outage:
    """A database that cannot work now.

    `passes`: it is worth trying again soon. `undone`: even a transaction that was being committed came to nothing.
    """

    detail: str
    passes: bool
    undone: bool


_AGAIN = "Nothing was stored; try again in a moment."
_ASK = "Nothing was stored; ask whoever runs this Glovebox."
_BUSY = Outage(f"Another process keeps the database busy. {_AGAIN}", passes=True, undone=True)
_ENDED = Outage(f"The database did not get to it in time. {_AGAIN}", passes=True, undone=True)
_AWAY = Outage(f"The database does not answer. {_AGAIN}", passes=True, undone=False)
_FULL = Outage(f"The disk that the database is on is full. {_ASK}", passes=False, undone=True)
_UNUSABLE = Outage(f"The database cannot be read or written. {_ASK}", passes=False, undone=True)

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# A transaction that PostgreSQL gave up for the sake of others: deadlock, serialization, a lock or time that was over.
_POSTGRES_ENDED = {"40P01", "40001", "55P03", "57014"}
_POSTGRES_FULL = {"53100", "53200"}


def outage_of(error: DBAPIError) -> Outage | None:
    """Return what keeps the database from working, or None where the error is of another kind."""
    orig = error.orig
    if isinstance(orig, sqlite3.Error):
        return _of_sqlite(orig) if isinstance(orig, sqlite3.OperationalError) else None
    state: str | None = getattr(orig, "sqlstate", None)
    if state in _POSTGRES_ENDED:
        return _ENDED
    if state in _POSTGRES_FULL:
        return _FULL
    # 08: connection; 57P: the server is being stopped or started; 53: too many connections; 28 and 3D: wrong user, no
    # such database; 25006: a standby.
    if state is not None and state[:2] in ("08", "53", "28", "3D"):
        return _AWAY
    if state is not None and (state[:3] == "57P" or state == "25006"):
        return _AWAY
    if error.connection_invalidated or (state is None and isinstance(error, OperationalError)):
        return _AWAY
    return None


def _of_sqlite(error: sqlite3.OperationalError) -> Outage | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _SQLITE_BUSY:
        return _BUSY
    if code == sqlite3.SQLITE_FULL:
        return _FULL
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return _UNUSABLE
    return None  # a statement that is wrong
