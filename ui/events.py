"""The follow stream of a turn: server-sent events become `Event`s, and a broken connection is taken up again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx2

from ui import words
from ui.api_client import Api, ApiError

# A finished cell carries all its outputs, up to 32 MiB of pictures besides its text.
MAX_EVENT_BYTES = 128 * 1024 * 1024
RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a turn."""

    id: str
    kind: str
    data: dict[str, Any]


def read_event(sent: httpx2.ServerSentEvent) -> Event | None:
    """Read one server-sent event; None for what is no event of the API."""
    try:
        data = json.loads(sent.data)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    kind = data.get("type") or sent.event
    return Event(sent.id, str(kind), data)


async def follow(api: Api, session: str, pauses: tuple[float, ...] = RETRY_PAUSES_S) -> AsyncGenerator[Event, None]:
    """Yield the events of the turn that runs, from its first to its last; ends at once when none runs.

    Raises:
        ApiError: the service cannot be reached for longer than all the pauses together.
    """
    last_id: str | None = None
    failures = 0
    while True:
        try:
            async with api.events(session, last_id) as response:
                if response.status_code == httpx2.codes.NO_CONTENT:
                    return
                async for sent in httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES):
                    failures = 0
                    last_id = sent.id or last_id
                    event = read_event(sent)
                    if event is not None:
                        yield event
                        if event.kind == "turn_finished":
                            return
        except ApiError as error:
            if error.status:
                raise
        if failures == len(pauses):
            raise ApiError(words.UNREACHABLE)
        await asyncio.sleep(pauses[failures])
        failures += 1
