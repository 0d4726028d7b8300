"""Doors of the conversation."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from starlette.responses import JSONResponse

from orchestrator.api.problems import NO_MODEL, NO_SANDBOX, Responses
from orchestrator.api.services import Owned, Readable, Wired
from orchestrator.api.shapes import NewMessage, message_shape
from orchestrator.api.streams import server_sent_events

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["messages"])
_EVENT_STREAM: Responses = {200: {"content": {"text/event-stream": {}}}}


@router.post("/messages", response_class=Response, responses=_EVENT_STREAM | NO_MODEL)
async def send_message(owned: Owned, services: Wired, body: NewMessage) -> Response:
    """Say something to the model; the turn's events follow. The turn goes on when the caller goes away."""
    record, session = owned
    log = await services.chat.begin_turn(record, session, body.content, body.attachments, body.model)
    await services.sessions.touch(record)
    return server_sent_events(log)


@router.get("/messages", response_model=list[dict[str, Any]])
async def conversation(found: Readable, services: Wired) -> Any:
    """Return the conversation."""
    messages = await services.chat.messages(found.record.id)
    return JSONResponse([message_shape(message, cells) for message, cells in messages])


@router.get("/events", response_class=Response, responses=_EVENT_STREAM | {204: {"description": "no turn runs"}})
async def follow(found: Readable, services: Wired, last_event_id: Annotated[int, Header(ge=0)] = 0) -> Response:
    """Follow the turn that runs from `Last-Event-ID` on, else from its beginning; `204` when none runs."""
    log = services.chat.follow(found.record.id)
    if log is None:
        return Response(status_code=204)
    # A number beyond the end is of an earlier turn: whoever names it is told everything of this one.
    return server_sent_events(log, last_event_id if last_event_id <= len(log) else 0)


@router.post("/stop", status_code=204, responses=NO_SANDBOX)
async def stop(owned: Owned, services: Wired) -> Response:
    """Stop the turn that runs, in the text or in a cell; returns when it has ended."""
    await services.chat.stop(owned[0].id)
    return Response(status_code=204)
