"""Answers that come before a request's body has: a refused upload of gigabytes must not first be sent to its end.

An HTTP server that has answered reads on until the body is over, since the connection is to be used again. Here it is
closed instead (RFC 9112, 9.6): after a moment in which the client can read the answer, for what is sent to a closed
connection is answered with a reset, which may take the answer with it.
"""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.limits import BODY_LEFT_BYTES, BODY_LEFT_S

_REFUSED = 400


class EarlyAnswer:
    """ASGI middleware: a refusal ends the connection where much of the body is still to come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; small bodies come to their end anyway."""
        if scope["type"] != "http" or not _is_large(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        coming = True

        async def receiving() -> Message:
            nonlocal coming
            message = await receive()
            coming = message["type"] == "http.request" and message.get("more_body", False)
            return message

        ending = False

        async def sending(message: Message) -> None:
            nonlocal ending
            if message["type"] == "http.response.start" and message["status"] >= _REFUSED and coming:
                ending = True
                MutableHeaders(scope=message)["connection"] = "close"
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (ending and last):
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(BODY_LEFT_S):
                    while coming:
                        await receiving()
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, receiving, sending)


def _is_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdecimal() or int(length) > BODY_LEFT_BYTES
