"""Requests that can be ended in the middle: ASGI middleware behind the guard, for everybody who has an account."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.guard import refuse
from orchestrator.errors import Unauthorized
from orchestrator.people.presence import Presence

_NO_LONGER = "You were logged out, or may not see this any more. Log in again."


class Visits:
    """Notes each request as a visit, and answers for those that are ended."""

    def __init__(self, app: ASGIApp, presence: Callable[[], Presence]) -> None:
        self._app = app
        self._presence = presence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, until it is over or ended."""
        caller = scope.get("state", {}).get("caller")
        if caller is None:
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        running = asyncio.ensure_future(self._app(scope, receive, answer.send))
        visit = scope["state"]["visit"] = self._presence().begin(caller, running)
        try:
            await asyncio.wait({running})
            if visit.ended:
                with suppress(asyncio.CancelledError):
                    running.exception()
                await answer.end()
            else:
                running.result()
        finally:
            self._presence().over(visit)
            running.cancel()


class _Answer:
    """An answer on its way, which can be ended in the middle."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._begun = self._over = False

    async def send(self, message: Message) -> None:
        self._begun = True
        self._over = message["type"] in ("websocket.close", "websocket.http.response.start") or (
            message["type"] == "http.response.body" and not message.get("more_body", False)
        )
        await self._send(message)

    async def end(self) -> None:
        """End it: with a refusal where it has not begun."""
        if self._over:
            return
        if self._scope["type"] == "http" and self._begun:
            # A download of a known length cannot end well here, and must not: the server breaks it off.
            with suppress(RuntimeError):
                await self._send({"type": "http.response.body", "body": b""})
        else:
            await refuse(self._scope, self._send, Unauthorized(_NO_LONGER))
