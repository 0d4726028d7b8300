"""Rows of what people set for themselves."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from orchestrator.store.database import Database
from orchestrator.store.remembered import Remembered
from orchestrator.store.tables import user_settings

_ONE = user_settings.c.user_id == bindparam("key")
_GET = select(user_settings.c.settings).where(_ONE)
_GET_TO_CHANGE = _GET.with_for_update()  # SQLite has one writer anyway
_ADD = user_settings.insert()
_CHANGE = user_settings.update().where(_ONE).values(settings=bindparam("new_settings"))


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What a person set. `language` None: the browser's; `default_model` and `default_profile` None: the config's."""

    instructions: str = ""
    language: str | None = None
    theme: str = "system"
    fold_code: bool = True
    default_model: str | None = None
    default_profile: str | None = None


class SettingsStore:
    """Settings in the database; who set nothing has those of everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Remembered[UserSettings]()

    async def of(self, user_id: str) -> UserSettings:
        """Return a person's settings."""
        if (known := self._known.get(user_id)) is not None:
            return known
        writes = self._known.writes
        found = await self._database.transact(lambda connection: _read(connection, user_id))
        self._known.keep(user_id, found, writes)
        return found

    async def change(self, user_id: str, changes: Mapping[str, Any]) -> UserSettings:
        """Set some of a person's settings, and return all of them; two who change others lose nothing."""

        def work(connection: Connection) -> UserSettings:
            before = _read(connection, user_id, _GET_TO_CHANGE)
            changed = UserSettings(**(asdict(before) | dict(changes)))
            row = asdict(changed)
            if connection.execute(_CHANGE, {"key": user_id, "new_settings": row}).rowcount == 0:
                connection.execute(_ADD, {"user_id": user_id, "settings": row})
            return changed

        with self._known.changing(user_id):
            return await self._database.transact(work)


def _read(connection: Connection, user_id: str, statement: Select[Any] = _GET) -> UserSettings:
    kept = connection.execute(statement, {"key": user_id}).scalar() or {}
    known = {field.name for field in fields(UserSettings)}
    return UserSettings(**{name: value for name, value in kept.items() if name in known})
