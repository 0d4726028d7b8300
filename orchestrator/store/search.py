"""Finding sessions by what was said in them."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, String, bindparam, cast, func, or_, select

from orchestrator.store.database import Database
from orchestrator.store.tables import messages

_WORDS = {"text": ("text", "reasoning"), "cell": ("code",), "notice": ("text",)}  # of a part, by its type


class SearchStore:
    """A search in the messages of sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def containing(self, session_ids: Iterable[str], text: str) -> set[str]:
        """Return those of these sessions in which somebody said or ran this text, in any branch; case does not matter.

        The database narrows it down, in which only the case of ASCII is known to every engine, and which would find
        the names of the parts' fields, too.
        """
        parts = cast(messages.c.parts, String)
        spoken = [messages.c.content.icontains(form, autoescape=True) for form in _forms(text)]
        written = [parts.icontains(json.dumps(form)[1:-1], autoescape=True) for form in _forms(text)]
        statement = (
            select(messages.c.session_id, messages.c.content, messages.c.parts)
            .where(messages.c.session_id.in_(bindparam("keys", expanding=True)), or_(*spoken, *written))
            .order_by(func.length(parts))
        )
        wanted, keys = text.casefold(), {"keys": [*session_ids]}

        def work(connection: Connection) -> set[str]:
            found: set[str] = set()
            for session_id, content, said in connection.execute(statement, keys):
                if session_id not in found and any(wanted in one.casefold() for one in (content, *_said(said))):
                    found.add(session_id)
            return found

        return await self._database.transact(work)


def _forms(text: str) -> set[str]:
    return {text, text.lower(), text.upper(), text.capitalize()}


def _said(parts: list[dict[str, Any]]) -> list[str]:
    """Return the words of an answer's parts."""
    return [str(part[name]) for part in parts for name in _WORDS.get(str(part.get("type")), ()) if name in part]
