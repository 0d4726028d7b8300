"""A bound for requests' bodies: all but uploads are small JSON, which is read whole before it is looked at."""

import re
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.limits import BODY_BYTES, NOTEBOOK_BYTES

_UPLOAD = re.compile(r"/v1/sessions/[^/]+/files/")  # a file on its way; its own limit is the session's disk
_IMPORT = "/v1/sessions/import"  # a notebook, which may have pictures in it


class BodyLimit:
    """ASGI middleware that counts a body's bytes as they come and refuses too many with a 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with a receive that counts."""
        if scope["type"] != "http" or (scope["method"] == "PUT" and _UPLOAD.match(scope["path"])):
            await self._app(scope, receive, send)
            return
        most = NOTEBOOK_BYTES if scope["path"] == _IMPORT else BODY_BYTES
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                detail = f"A request's body may have {most:,} bytes; upload large things as files."
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, {"Connection": "close"})
            return message

        await self._app(scope, counting, send)
