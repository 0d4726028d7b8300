"""The door of cells."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from orchestrator.api.direct_route import DirectRoute
from orchestrator.api.problems import NO_SANDBOX, Responses
from orchestrator.api.refusals import Refusals
from orchestrator.api.services import Owned, Wired
from orchestrator.api.shapes import CellShape, NewExecution, cell_shape
from orchestrator.api.streams import ndjson
from orchestrator.errors import GloveboxError
from orchestrator.store.records import CellRecord, SessionRecord

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["executions"], route_class=DirectRoute)
_ALSO_EVENTS: Responses = {200: {"content": {"application/x-ndjson": {}}}}


@router.post("/executions", response_model=CellShape, responses=_ALSO_EVENTS | NO_SANDBOX)
async def run_cell(owned: Owned, services: Wired, request: Request, body: NewExecution) -> Any:
    """Run a cell and answer with it; with `Accept: application/x-ndjson`, with its events as they happen.

    The cell goes on when the caller goes away; `interrupt` stops it.
    """
    record, session = owned
    services.sessions.touch(record)
    is_watched = "application/x-ndjson" in request.headers.get("accept", "")
    events, answer = session.start_cell(body.code, body.timeout_s, is_watched=is_watched)
    if is_watched:
        answer.add_done_callback(partial(_note_failure, services.refusals, record))  # it is told in the stream
        return ndjson(events)
    cell = await asyncio.shield(answer)
    return JSONResponse(cell_shape(cell))


def _note_failure(refusals: Refusals, record: SessionRecord, done: asyncio.Future[CellRecord]) -> None:
    if not done.cancelled() and isinstance(error := done.exception(), GloveboxError):
        refusals.of_cell(record, error.as_problem())
