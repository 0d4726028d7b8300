"""Rows of people and of the secrets that stand for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError

from orchestrator.config_people import Role
from orchestrator.errors import Conflict, NotFound
from orchestrator.store.database import Database
from orchestrator.store.tables import user_secrets, users

# What a secret is for; each begins with it.
API = "gbx"
LOGIN = "gbl"
_ADD = users.insert()
_BY_NAME = select(users).where(users.c.name == bindparam("key"))
_ALL = select(users).order_by(users.c.name)
_COUNT = select(func.count()).select_from(users)
_SET_PASSWORD = users.update().where(users.c.id == bindparam("key")).values(password_hash=bindparam("new_hash"))
_SET_DISABLED = users.update().where(users.c.id == bindparam("key")).values(disabled_at=bindparam("when"))
_SET_ROLE = users.update().where(users.c.id == bindparam("key")).values(role=bindparam("new_role"))
# Changes nothing, and is a write: whoever would end the logins of before comes wholly before it, or after the login.
_UNCHANGED = (
    users.update()
    .where(
        users.c.id == bindparam("key"),
        users.c.password_hash.is_not_distinct_from(bindparam("old_hash")),
        users.c.disabled_at.is_(None),
    )
    .values(disabled_at=None)
)
_BY_ID = select(users).where(users.c.id == bindparam("key"))
_BY_SUBJECT = select(users).where(users.c.subject == bindparam("of_subject"))
# Whoever has a password here is nobody whom a provider of single sign-on may speak for.
_BIND = (
    users.update()
    .where(users.c.id == bindparam("key"), users.c.subject.is_(None), users.c.password_hash.is_(None))
    .values(subject=bindparam("new_subject"))
)
_ADD_SECRET = user_secrets.insert()
_USED = user_secrets.update().where(user_secrets.c.id == bindparam("key")).values(used_at=bindparam("when"))
_WHOSE = (
    select(user_secrets.c.secret_hash, users)
    .join(users, users.c.id == user_secrets.c.user_id)
    .where(
        user_secrets.c.id == bindparam("key"),
        user_secrets.c.kind == bindparam("of_kind"),
        user_secrets.c.revoked_at.is_(None),
        or_(user_secrets.c.expires_at.is_(None), user_secrets.c.expires_at > bindparam("now")),
        users.c.disabled_at.is_(None),
    )
)
_HOLDER = (
    select(users)
    .join(user_secrets, users.c.id == user_secrets.c.user_id)
    .where(
        user_secrets.c.id == bindparam("key"),
        user_secrets.c.revoked_at.is_(None),
        or_(user_secrets.c.expires_at.is_(None), user_secrets.c.expires_at > bindparam("now")),
    )
)
_SECRETS_OF = (
    select(user_secrets)
    .where(
        user_secrets.c.user_id == bindparam("whose"),
        user_secrets.c.kind == bindparam("of_kind"),
        user_secrets.c.revoked_at.is_(None),
    )
    .order_by(user_secrets.c.created_at)
)
_REVOKE = (
    user_secrets.update()
    .where(user_secrets.c.id == bindparam("key"), user_secrets.c.user_id == bindparam("whose"))
    .values(revoked_at=bindparam("when"))
)
_REVOKE_ALL = (
    user_secrets.update()
    .where(
        user_secrets.c.user_id == bindparam("whose"),
        user_secrets.c.kind == bindparam("of_kind"),
        user_secrets.c.revoked_at.is_(None),
    )
    .values(revoked_at=bindparam("when"))
)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person. `password_hash` is None for who signs in elsewhere."""

    id: str
    name: str
    role: Role
    password_hash: str | None
    created_at: datetime
    disabled: bool


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A token or a login, without what proves it."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


class PeopleStore:
    """People in the database. Names are compared as they are stored: the service makes them small letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: str, name: str, role: Role, password_hash: str | None) -> UserRecord:
        """Add a person.

        Raises:
            Conflict: the name is taken.

        """
        row = {"id": user_id, "name": name, "role": role, "password_hash": password_hash, "created_at": _now()}

        def work(connection: Connection) -> UserRecord:
            connection.execute(_ADD, row)
            return _user(connection.execute(_BY_NAME, {"key": name}).one())

        try:
            return await self._database.transact(work)
        except IntegrityError as error:
            raise Conflict(f"There is already somebody called {name!r}.", code="user_exists") from error

    async def named(self, name: str) -> UserRecord | None:
        """Return who has this name."""
        row = await self._database.transact(
            lambda connection: connection.execute(_BY_NAME, {"key": name}).one_or_none()
        )
        return None if row is None else _user(row)

    async def with_subject(self, subject: str) -> UserRecord | None:
        """Return whom a provider of single sign-on knows as this subject."""
        keys = {"of_subject": subject}
        row = await self._database.transact(lambda connection: connection.execute(_BY_SUBJECT, keys).one_or_none())
        return None if row is None else _user(row)

    async def bind(self, user_id: str, subject: str) -> bool:
        """Let an account be this subject's from now on; False where it has a password, or is another's."""
        keys = {"key": user_id, "new_subject": subject}
        return await self._database.transact(lambda connection: connection.execute(_BIND, keys).rowcount) == 1

    async def with_id(self, user_id: str) -> UserRecord | None:
        """Return who has this id."""
        row = await self._database.transact(
            lambda connection: connection.execute(_BY_ID, {"key": user_id}).one_or_none()
        )
        return None if row is None else _user(row)

    async def everybody(self) -> list[UserRecord]:
        """Return everybody, by name."""
        return [_user(row) for row in await self._database.transact(lambda c: c.execute(_ALL).all())]

    async def count(self) -> int:
        """Return how many there are."""
        return int(await self._database.transact(lambda connection: connection.execute(_COUNT).scalar_one()))

    async def set_password(self, user_id: str, password_hash: str | None) -> None:
        """Give a person another password, or none, and end all logins that the old one opened."""

        def work(connection: Connection) -> None:
            connection.execute(_SET_PASSWORD, {"key": user_id, "new_hash": password_hash})
            connection.execute(_REVOKE_ALL, {"whose": user_id, "of_kind": LOGIN, "when": _now()})

        await self._database.transact(work)

    async def set_role(self, user_id: str, role: Role) -> None:
        """Give a person another role."""
        await self._database.run(_SET_ROLE, {"key": user_id, "new_role": role})

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Shut a person out, or let them in again; logins from before do not come back."""

        def work(connection: Connection) -> None:
            connection.execute(_SET_DISABLED, {"key": user_id, "when": _now() if disabled else None})
            connection.execute(_REVOKE_ALL, {"whose": user_id, "of_kind": LOGIN, "when": _now()})

        await self._database.transact(work)

    async def add_secret(
        self, secret_id: str, kind: str, user_id: str, name: str, secret_hash: str, expires_at: datetime | None
    ) -> None:
        """Add a token or a login."""
        await self._database.run(_ADD_SECRET, _secret_row(secret_id, kind, user_id, name, secret_hash, expires_at))

    async def add_login(
        self, secret_id: str, user: UserRecord, name: str, secret_hash: str, expires_at: datetime
    ) -> bool:
        """Add a login, unless the person was shut out or got another password since this record was read."""
        row = _secret_row(secret_id, LOGIN, user.id, name, secret_hash, expires_at)
        keys = {"key": user.id, "old_hash": user.password_hash}

        def work(connection: Connection) -> bool:
            if connection.execute(_UNCHANGED, keys).rowcount == 0:
                return False
            connection.execute(_ADD_SECRET, row)
            return True

        return await self._database.transact(work)

    async def whose(self, kind: str, secret_id: str) -> tuple[UserRecord, str] | None:
        """Return the person whom a secret that still counts stands for, and its hash."""
        keys = {"key": secret_id, "of_kind": kind, "now": _now()}
        row = await self._database.transact(lambda connection: connection.execute(_WHOSE, keys).one_or_none())
        return None if row is None else (_user(row), str(row.secret_hash))

    async def holder(self, secret_id: str) -> UserRecord | None:
        """Return the person of a secret that still counts, be they shut out or not."""
        keys = {"key": secret_id, "now": _now()}
        row = await self._database.transact(lambda connection: connection.execute(_HOLDER, keys).one_or_none())
        return None if row is None else _user(row)

    async def note_secret_used(self, secret_id: str) -> None:
        """Note that a secret was used now."""
        await self._database.run(_USED, {"key": secret_id, "when": _now()})

    async def secrets(self, user_id: str, kind: str) -> list[SecretRecord]:
        """Return a person's tokens or logins that were not revoked, the oldest first."""
        keys = {"whose": user_id, "of_kind": kind}
        rows = await self._database.transact(lambda connection: connection.execute(_SECRETS_OF, keys).all())
        return [_secret(row) for row in rows]

    async def revoke(self, user_id: str, secret_id: str) -> None:
        """End a person's own token or login.

        Raises:
            NotFound: this person has none with that id.

        """
        keys = {"key": secret_id, "whose": user_id, "when": _now()}
        changed = await self._database.transact(lambda connection: connection.execute(_REVOKE, keys).rowcount)
        if changed == 0:
            raise NotFound(f"You have no token {secret_id[:32]!r}.", code="token_not_found")


def _secret_row(
    secret_id: str, kind: str, user_id: str, name: str, secret_hash: str, expires_at: datetime | None
) -> dict[str, Any]:
    return {
        "id": secret_id,
        "kind": kind,
        "user_id": user_id,
        "name": name,
        "secret_hash": secret_hash,
        "created_at": _now(),
        "expires_at": None if expires_at is None else expires_at.astimezone(UTC).replace(tzinfo=None),
    }


def _user(row: Row[Any]) -> UserRecord:
    return UserRecord(
        row.id, row.name, row.role, row.password_hash, row.created_at.replace(tzinfo=UTC), row.disabled_at is not None
    )


def _secret(row: Row[Any]) -> SecretRecord:
    return SecretRecord(row.id, row.name, row.created_at.replace(tzinfo=UTC), _utc(row.used_at), _utc(row.expires_at))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _now() -> datetime:
    """Return the time as the database keeps it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
