"""The door of cells."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from orchestrator.api.services import Owned, Wired
from orchestrator.api.shapes import CellShape, NewExecution, cell_shape
from orchestrator.api.streams import ndjson

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["executions"])


@router.post("/executions", response_model=CellShape)
async def run_cell(owned: Owned, services: Wired, request: Request, body: NewExecution) -> Any:
    """Run a cell and answer with it; with `Accept: application/x-ndjson`, with its events as they happen.

    The cell goes on when the caller goes away; `interrupt` stops it.
    """
    record, session = owned
    await services.sessions.touch(record)
    events, task = session.start_cell(body.code, body.timeout_s)
    if "application/x-ndjson" in request.headers.get("accept", ""):
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # told in the stream
        return ndjson(events)
    cell = await asyncio.shield(task)
    return JSONResponse(cell_shape(cell))
