"""Doors of imported notebooks, and of cells that are run again."""

import asyncio
import threading
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from orchestrator.api.executions import note_failure
from orchestrator.api.problems import NO_ROOM, NO_SANDBOX, Responses
from orchestrator.api.services import Me, Owned, Services, Wired
from orchestrator.api.shapes import Body, CellShape, SessionName, SessionShape, cell_shape, session_shape
from orchestrator.api.streams import ndjson
from orchestrator.errors import BadRequest, Conflict, GloveboxError, NotFound, TooManyRequests
from orchestrator.limits import CODE_BYTES, NOTEBOOK_UPLOAD_S, NOTEBOOKS_AT_ONCE
from orchestrator.notebook.intake import last_part, taken_in
from orchestrator.notebook.reading import Notebook, read_notebook
from orchestrator.sessions.session import LiveSession
from orchestrator.store.imported import ImportStore
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

_NAME = "Imported notebook"
_A_NOTEBOOK = {"content": {"application/x-ipynb+json": {"schema": {"type": "object"}}}, "required": True}
_ALSO_EVENTS: Responses = {200: {"content": {"application/x-ndjson": {}}}}
router = APIRouter(prefix="/v1/sessions", tags=["import"])
_parsing = threading.Lock()  # one at a time: a parsed notebook takes several times its bytes
_being_sent: set[Request] = set()


class NewRun(Body):
    """Body of `POST /v1/sessions/{id}/cells/{cell_id}/run`."""

    code: str | None = Field(default=None, max_length=CODE_BYTES)
    timeout_s: float | None = Field(default=None, gt=0, le=86_400)


class CellMissing(NotFound):
    """The session has no such cell."""

    code = "cell_not_found"
    title = "There is no such cell"


@router.post(
    "/import",
    status_code=201,
    response_model=SessionShape,
    responses=NO_SANDBOX | NO_ROOM,
    openapi_extra={"requestBody": _A_NOTEBOOK},
)
async def import_notebook(
    services: Wired,
    person: Me,
    request: Request,
    name: Annotated[SessionName | None, Query()] = None,
    profile: Annotated[str | None, Query(max_length=40)] = None,
) -> Any:
    """Make a session of a notebook: its texts and cells with stored outputs are the conversation. Nothing runs."""
    notebook = await _sent(request)
    wanted = name or notebook.title or _NAME
    record = await services.sessions.make(person.id, person.role, wanted, profile)
    try:
        live = services.sessions.live(record)
        said, ran = await taken_in(notebook, record.id, await live.files(make=True))
        await ImportStore(services.database).add(record.id, said, ran)
    except BaseException:
        await asyncio.shield(services.sessions.delete(record))
        raise
    services.activity.note(person.id, record.id, "notebook_imported", wanted, f"{len(ran)} cells")
    shape = session_shape(record, live, None)
    return JSONResponse(shape, 201, {"Location": f"/v1/sessions/{record.id}"})


async def _sent(request: Request) -> Notebook:
    """Return the notebook in a request's body; few are read at a time, since each is in memory as a whole."""
    if len(_being_sent) >= NOTEBOOKS_AT_ONCE:
        raise TooManyRequests("Others are importing notebooks right now; try again.", retry_after_s=5)
    _being_sent.add(request)
    try:
        async with asyncio.timeout(NOTEBOOK_UPLOAD_S):
            content = await request.body()
        return await asyncio.to_thread(_read, content)
    except TimeoutError as error:
        raise BadRequest("The notebook was sent too slowly.", code="too_slow") from error
    finally:
        _being_sent.discard(request)


def _read(content: bytes) -> Notebook:
    with _parsing:
        return read_notebook(content)


@router.post(
    "/{session_id}/cells/{cell_id}/run", response_model=CellShape, responses=_ALSO_EVENTS | NO_SANDBOX, tags=["import"]
)
async def run_again(
    owned: Owned, services: Wired, request: Request, cell_id: Annotated[str, Path(max_length=64)], body: NewRun
) -> Any:
    """Run a cell again, or other code in its place, at the end of the conversation. Answers as an execution does."""
    record, session = owned
    cells = await services.conversation.cells(record.id)
    earlier = next((cell for cell in cells if cell.cell_id == cell_id), None)
    if earlier is None:
        raise CellMissing(f"The session has no cell {cell_id!r}.")
    if services.chat.follow(record.id) is not None:
        raise Conflict("The session is still answering; wait for it, or stop it.", code="turn_running")
    await services.sessions.touch(record)
    code = earlier.code if body.code is None else body.code
    events, task = await _begun(services, record, session, code, body.timeout_s)
    if "application/x-ndjson" in request.headers.get("accept", ""):
        task.add_done_callback(partial(note_failure, services.refusals, record))
        return ndjson(events)
    return JSONResponse(cell_shape(await asyncio.shield(task)))


async def _begun(
    services: Services, record: SessionRecord, session: LiveSession, code: str, timeout_s: float | None
) -> Any:
    """Add the person's cell to the conversation and start it."""
    now = datetime.now(UTC)
    question = MessageRecord(uuid.uuid4().hex, record.id, "user", now, content=f"!{code}")
    answer = MessageRecord(uuid.uuid4().hex, record.id, "assistant", now, status="running")
    await services.conversation.add_messages(question, answer)

    async def ended(how: CellRecord | GloveboxError) -> None:
        if isinstance(how, CellRecord):
            await services.conversation.save_message(answer.id, "done", [*last_part(how)])
        else:
            await services.conversation.save_message(answer.id, "failed", [], how.as_problem())

    return session.start_cell(code, timeout_s, answer.id, ended)
