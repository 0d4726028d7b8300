"""Requests that would rather wait for a turn to begin than hear that none runs (`Prefer: wait`, RFC 7240)."""

import asyncio
import re

from starlette.requests import Request

from orchestrator.chat.service import Chat
from orchestrator.events import EventLog
from orchestrator.limits import BEGINNING_LOOK_S, BEGINNING_WAIT_S

_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,4})\"?\s*(?:$|[,;])", re.IGNORECASE)


def wait_s(prefer: str) -> float:
    """Return how many seconds a request would wait; none where it says nothing of that, or nothing that makes sense."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), BEGINNING_WAIT_S) if found else 0.0


async def waited_for(request: Request, chat: Chat, session_id: str) -> EventLog | None:
    """Return the log of the next turn of a session, if one begins as long as the request would wait."""
    now = asyncio.get_running_loop().time
    until = now() + wait_s(",".join(request.headers.getlist("prefer")))
    while (left := until - now()) > 0:
        if log := await chat.beginnings.wait(session_id, min(left, BEGINNING_LOOK_S)) or chat.follow(session_id):
            return log
        is_ending = getattr(request.app.state, "is_ending", None)
        if (is_ending is not None and is_ending()) or await request.is_disconnected():
            return None
    return None
