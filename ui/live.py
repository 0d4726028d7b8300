"""The door by which a page follows a session: one line of JSON each time that something changed, without end.

Not over Gradio's queue: there every change of a conversation would be sent through its diff of the whole, and a page
that lost its connection would not come back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from ui import words
from ui.api_client import Api, ApiError
from ui.cards import printed_text
from ui.conversation import Cell
from ui.doors import INERT, attachment, problem_response
from ui.first_use import welcome
from ui.following import Following, View
from ui.intake import Intake
from ui.logins import Logins
from ui.meter import meter
from ui.nudges import Nudges
from ui.patches import Line, Sent

# A page that is gone is noticed only when something is said to it.
BEAT_S = 10.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_MEDIA_TYPE = "application/x-ndjson"


def live_doors(logins: Logins, intake: Intake, nudges: Nudges) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/live")
    async def nothing_open() -> Response:
        lines = _written({"words": _words(), "welcome": welcome(), "order": [], "state": _state(View([]))})
        return Response(lines, headers=_HEADERS, media_type=_MEDIA_TYPE)

    @router.get("/live/{session}")
    async def live(session: str, request: Request) -> Response:
        api = logins.api_for(request.headers)
        try:
            await api.session(session)
        except ApiError as error:
            return problem_response(error)
        following = Following(api, intake, nudges, session, fold_code=await _folds_code(api))
        return StreamingResponse(_lines(following), headers=_HEADERS, media_type=_MEDIA_TYPE)

    @router.get("/printed/{session}/{cell}")
    async def printed(session: str, cell: str, request: Request) -> Response:
        api = logins.api_for(request.headers)
        try:
            found = _find_cell(await api.messages(session), cell)
        except ApiError as error:
            return problem_response(error, INERT)
        if found is None:
            return problem_response(ApiError(words.NOT_FOUND, "not_found", 404), INERT)
        text = printed_text(Cell("", "ok", outputs=intake.data(found)["outputs"]))
        headers = INERT | {"Content-Disposition": attachment(f"cell-{cell[:8]}.txt")}
        return Response(text.encode("utf-8", "replace"), headers=headers, media_type="text/plain; charset=utf-8")

    return router


async def _lines(following: Following) -> AsyncIterator[bytes]:
    sent = Sent()
    yield _written({"words": _words()})
    # A task of its own: this generator may be ended in the middle of any wait. One view waits at most.
    views: asyncio.Queue[View | ApiError] = asyncio.Queue(1)
    watching = asyncio.create_task(_watch(following, views))
    try:
        while True:
            try:
                view = await asyncio.wait_for(views.get(), BEAT_S)
            except TimeoutError:
                yield _written({"beat": 1})
                continue
            if isinstance(view, ApiError):
                yield _written({"gone": view.detail})
                return
            if line := sent.line(view.messages, _state(view)):
                yield _written(line)
    finally:
        watching.cancel()


async def _watch(following: Following, views: asyncio.Queue[View | ApiError]) -> None:
    try:
        async with aclosing(following.watch()) as coming:
            async for view in coming:
                await views.put(view)
    except ApiError as error:
        await views.put(error)


def _state(view: View) -> Line:
    offline = words.RECONNECTING if view.offline else ""
    return {
        "running": view.running,
        "meter": meter(view.usage),
        "readOnly": view.read_only,
        "pulse": view.pulse,
        "offline": offline,
    }


def _words() -> dict[str, str]:
    """Return the words that conversation.js says by itself."""
    return {
        "copy": words.COPY,
        "copied": words.COPIED,
        "cancel": words.CANCEL,
        "ask": words.ASK_EDITED,
        "run": words.RUN_EDITED,
        "remove": words.DELETE,
        "removeAsked": words.DELETE_TURN_ASKED,
        "keep": words.KEEP,
        "toEnd": words.TO_END,
        "picture": words.ENLARGED,
        "close": words.CLOSE,
        "download": words.DOWNLOAD,
        "otherModel": words.REGENERATE_WITH,
        "noOtherModel": words.NO_OTHER_MODEL,
        "offline": words.RECONNECTING,
        "ready": words.ANSWER_READY,
        "working": words.THINKING,
        "stop": words.STOP,
        "runningAll": words.RUN_ALL_NOW,
        "ranAll": words.RUN_ALL_DONE,
        "failedAt": words.RUN_ALL_FAILED,
        "stoppedAt": words.RUN_ALL_STOPPED,
    }


def _written(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


async def _folds_code(api: Api) -> bool:
    """Tell whether this reader prefers code folded; so it is where nobody said."""
    try:
        return bool((await api.my_settings()).get("fold_code", True))
    except ApiError:
        return True


def _find_cell(messages: list[dict[str, Any]], cell: str) -> dict[str, Any] | None:
    parts = (part for message in messages for part in message.get("parts") or [])
    return next((part for part in parts if part.get("type") == "cell" and part.get("cell_id") == cell), None)
