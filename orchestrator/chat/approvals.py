"""Calls that wait for a person: each cell of the model is shown first, and runs on a click."""

import asyncio
import uuid
from dataclasses import dataclass

from orchestrator.errors import NotFound


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a call; `code` runs in place of the model's where they changed it."""

    run: bool
    code: str | None = None


class Approvals:
    """The calls of one turn that wait, whoever watches; `asks` tells whether the next one is to wait, too."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self._waiting: dict[str, asyncio.Future[Decision]] = {}

    def begin(self) -> str:
        """Return the name of a call that waits from now on.

        It is never the model's own id of the call: a model may use one twice, and the click for the one call must not
        run the other.
        """
        name = uuid.uuid4().hex
        self._waiting[name] = asyncio.get_running_loop().create_future()
        return name

    async def decision(self, name: str) -> Decision:
        """Wait for what a person decides about a call, for ever if need be."""
        try:
            return await self._waiting[name]
        finally:
            del self._waiting[name]

    def give(self, name: str, decision: Decision) -> None:
        """Decide about a call.

        Raises:
            NotFound: none waits under this name (any more).

        """
        waiting = self._waiting.get(name)
        if waiting is None or waiting.done():
            raise nothing_waits()
        waiting.set_result(decision)


def nothing_waits() -> NotFound:
    """Return the error for a decision about a call that does not wait."""
    return NotFound("No cell waits for that decision (any more).", code="approval_not_found")
