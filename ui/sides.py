"""The door to what stands beside the conversation: the list of sessions, the title, the links to exports.

Not over Gradio's queue: there everything would be drawn anew each time, on every page that is open. A page is told all
of it, or that it is as the page has it; lists.js changes the rows that differ.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ui import panels, words
from ui.api_client import ApiError
from ui.doors import problem_response
from ui.logins import Logins

_HEADERS = {"Cache-Control": "no-store"}


def sides(logins: Logins) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/sides/")
    async def nothing_open(request: Request) -> Response:
        return await around("", request)

    @router.get("/sides/{session}")
    async def around(session: str, request: Request) -> Response:
        try:
            sessions = await logins.api_for(request.headers).sessions()
        except ApiError as error:
            return problem_response(error, _HEADERS)
        current = next((each for each in sessions if each["id"] == session), None)
        shown = {
            "title": panels.title(current),
            "export": panels.export_link(session),
            "rows": panels.session_rows(sessions, session, datetime.now(UTC)),
            "none": "" if sessions else words.NO_SESSIONS,
        }
        content = json.dumps(shown).encode()
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        headers = _HEADERS | {"ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    return router
