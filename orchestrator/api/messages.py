"""Doors of the conversation: say something, look at it, change its branches, decide about cells, stop."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.responses import JSONResponse

from orchestrator.api.patience import waited_for
from orchestrator.api.problems import NO_MODEL, NO_SANDBOX, Responses
from orchestrator.api.services import Owned, Readable, Wired
from orchestrator.api.shapes import AnotherAnswer, ApprovalDecision, NewMessage, message_shape
from orchestrator.api.streams import server_sent_events
from orchestrator.chat.approvals import Decision

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["messages"])
MessageId = Annotated[str, Path(max_length=64)]
_EVENT_STREAM: Responses = {200: {"content": {"text/event-stream": {}}}}


@router.post("/messages", response_class=Response, responses=_EVENT_STREAM | NO_MODEL)
async def send_message(owned: Owned, services: Wired, body: NewMessage) -> Response:
    """Say something to the model; the turn's events follow. The turn goes on when the caller goes away."""
    record, session = owned
    log = await services.chat.begin_turn(record, session, body.content, body.attachments, body.model, body.edits)
    services.sessions.touch(record)
    return server_sent_events(log)


@router.post("/messages/{message_id}/regenerate", response_class=Response, responses=_EVENT_STREAM | NO_MODEL)
async def regenerate(
    owned: Owned, services: Wired, message_id: MessageId, body: AnotherAnswer | None = None
) -> Response:
    """Have a question answered once more, in a branch of its own; the turn's events follow.

    With `resume`, from where an answer broke off: what ran for it is not run again.
    """
    record, session = owned
    wanted = body or AnotherAnswer()
    log = await services.chat.begin_again(record, session, message_id, wanted.model, resume=wanted.resume)
    services.sessions.touch(record)
    return server_sent_events(log)


@router.post("/messages/{message_id}/show", status_code=204)
async def show(owned: Owned, services: Wired, message_id: MessageId) -> Response:
    """Show the branch with that message, as far as it goes."""
    await services.chat.show(owned[0].id, message_id)
    return Response(status_code=204)


@router.delete("/messages/{message_id}", status_code=204)
async def delete_turn(owned: Owned, services: Wired, message_id: MessageId) -> Response:
    """Delete a question with its answers. Files and variables stay, and so does what followed."""
    await services.chat.delete_turn(owned[0].id, message_id)
    return Response(status_code=204)


@router.post("/approvals/{call_id}", status_code=204)
async def decide(
    owned: Owned, services: Wired, call_id: Annotated[str, Path(max_length=64)], body: ApprovalDecision
) -> Response:
    """Decide about a cell of the model's that waits: run it, run other code in its place, or refuse it."""
    services.chat.decide(owned[0].id, call_id, Decision(body.decision == "run", body.code))
    return Response(status_code=204)


@router.get("/messages", response_model=list[dict[str, Any]])
async def conversation(found: Readable, services: Wired) -> Any:
    """Return the conversation: the branch of it that is shown."""
    shown, cells = await services.chat.messages(found.record.id)
    return JSONResponse([message_shape(one.message, one.siblings, cells) for one in shown])


@router.get("/events", response_class=Response, responses=_EVENT_STREAM | {204: {"description": "no turn runs"}})
async def follow(
    found: Readable, services: Wired, request: Request, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> Response:
    """Follow the turn that runs from `Last-Event-ID` on, else from its beginning; `204` when none runs.

    With `Prefer: wait=30`, one that begins within so many seconds is followed, too.
    """
    log = services.chat.follow(found.record.id) or await waited_for(request, services.chat, found.record.id)
    if log is None:
        return Response(status_code=204)
    # A number beyond the end is of an earlier turn: whoever names it is told everything of this one.
    return server_sent_events(log, last_event_id if last_event_id <= len(log) else 0)


@router.post("/stop", status_code=204, responses=NO_SANDBOX)
async def stop(owned: Owned, services: Wired) -> Response:
    """Stop the turn that runs, in the text or in a cell, and return when it has ended; without one, the cell that runs.

    A cell that does not heed its interrupt is told as interrupted in a moment, and loses its kernel some seconds later.
    """
    record, session = owned
    if not await services.chat.stop(record.id):
        session.stop_cell()
    return Response(status_code=204)
