"""Who is here right now: what lasts of a person's requests ends as soon as they may not be here any more.

Streams and sockets outlive the moment in which their secret was looked at. So each request in progress is a visit,
and whenever somebody may be out (logged out, disabled, another password), or each second, since accounts can be
changed by another process as well, everybody's secret is looked at again.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import DatabaseUnavailable
from orchestrator.people.service import Caller, People

log = structlog.get_logger()
_LOOK_EVERY_S = 1.0


@dataclass(eq=False, slots=True)
class Visit:
    """A request in progress."""

    caller: Caller
    work: asyncio.Future[Any]
    session_id: str | None = None  # the session that it is about
    stays: bool = False  # it is what ends its caller's visits, and has to tell that it did
    ended: bool = False

    def end(self) -> None:
        """End it in the middle."""
        if not self.stays:
            self.ended = True
            self.work.cancel()


class Presence:
    """All visits of one process."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._visits: set[Visit] = set()

    def begin(self, caller: Caller, work: asyncio.Future[Any]) -> Visit:
        """Note a request that begins."""
        visit = Visit(caller, work)
        self._visits.add(visit)
        return visit

    def over(self, visit: Visit) -> None:
        """Note that a request is over."""
        self._visits.discard(visit)

    def end_in_session(self, person_id: str, session_id: str) -> None:
        """End what a person is doing in a session that is not shared with them any more."""
        for visit in self._visits:
            if visit.caller.person.id == person_id and visit.session_id == session_id:
                visit.end()

    async def watch_for_ever(self) -> None:
        """End what has to be ended, for ever."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._people.changed.wait(), _LOOK_EVERY_S)
            self._people.changed.clear()
            try:
                await self.look()
            except (SQLAlchemyError, DatabaseUnavailable) as error:
                log.error("nobody can tell who may still be here", reason=str(error))

    async def look(self) -> None:
        """End the visits of all who may not be here any more, or are not who they were."""
        for caller in {visit.caller for visit in self._visits}:
            if await self._people.is_still(caller):
                continue
            for visit in [one for one in self._visits if one.caller == caller]:
                visit.end()
