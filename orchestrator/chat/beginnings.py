"""Waiting for a turn to begin in a session, at no cost while none does."""

import asyncio
from collections import defaultdict

from orchestrator.events import EventLog


class Beginnings:
    """Who waits for the next turn of which session."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[EventLog]]] = defaultdict(set)

    def tell(self, session_id: str, events: EventLog) -> None:
        """Hand the log of a turn that begins to all who wait for it."""
        for waiting in self._waiting.pop(session_id, ()):
            if not waiting.done():
                waiting.set_result(events)

    async def wait(self, session_id: str, seconds: float) -> EventLog | None:
        """Return the log of the next turn, if one begins within so many seconds."""
        begun: asyncio.Future[EventLog] = asyncio.get_running_loop().create_future()
        self._waiting[session_id].add(begun)
        try:
            return await asyncio.wait_for(begun, seconds)
        except TimeoutError:
            return None
        finally:
            waiting = self._waiting.get(session_id, set())
            waiting.discard(begun)
            if not waiting:
                self._waiting.pop(session_id, None)
