"""Doors of imported notebooks, and of cells that are run again."""

import asyncio
import threading
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from orchestrator.api.problems import NO_ROOM, NO_SANDBOX, Responses
from orchestrator.api.services import Me, Owned, Wired
from orchestrator.api.settings import profile_for
from orchestrator.api.shapes import (
    Body,
    CellShape,
    ProfileName,
    SessionName,
    SessionShape,
    cell_shape,
    session_shape,
)
from orchestrator.api.streams import ndjson
from orchestrator.errors import BadRequest, GloveboxError, NotFound, SandboxUnavailable, TooManyRequests
from orchestrator.events import CellFinished, EventLog, TurnFinished
from orchestrator.limits import CODE_BYTES, NOTEBOOK_UPLOAD_S, NOTEBOOKS_AT_ONCE
from orchestrator.notebook.intake import taken_in
from orchestrator.notebook.reading import Notebook, read_notebook
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.imported import ImportStore
from orchestrator.store.records import CellRecord

_NAME = "Imported notebook"
_A_NOTEBOOK = {"content": {"application/x-ipynb+json": {"schema": {"type": "object"}}}, "required": True}
_ALSO_EVENTS: Responses = {200: {"content": {"application/x-ndjson": {}}}}
router = APIRouter(prefix="/v1/sessions", tags=["import"])
_parsing = threading.Lock()  # one at a time: a parsed notebook takes several times its bytes
_being_sent: set[Request] = set()
_being_kept: set[asyncio.Task[CellRecord]] = set()


class NewRun(Body):
    """Body of `POST /v1/sessions/{id}/cells/{cell_id}/run`."""

    code: str | None = Field(default=None, max_length=CODE_BYTES)
    in_place: bool = False


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
    profile: Annotated[ProfileName | None, Query()] = None,
) -> Any:
    """Make a session of a notebook: its texts and cells with stored outputs are the conversation. Nothing runs."""
    notebook = await _sent(request)
    wanted = name or notebook.title or _NAME
    chosen = await profile_for(services, person, profile)
    record = await services.sessions.make(person.id, person.role, wanted, chosen)
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
    """Run a cell again, or other code in its place, as one's own at the end of the conversation.

    Answers as an execution does; the stream has the events of a turn. With `in_place` no turn is made: what the cell
    comes to stands where the cell is, in place of what it came to before, and the answer is the cell.
    """
    record, session = owned
    cells = await services.conversation.cells(record.id)
    earlier = next((cell for cell in cells if cell.cell_id == cell_id), None)
    if earlier is None:
        raise CellMissing(f"The session has no cell {cell_id!r}.")
    code = earlier.code if body.code is None else body.code
    if body.in_place:
        services.sessions.touch(record)
        _, running = session.start_cell(code, None)
        kept = asyncio.create_task(_kept(services.conversation, earlier.cell_id, running))
        _being_kept.add(kept)
        kept.add_done_callback(_being_kept.discard)
        return JSONResponse(cell_shape(await asyncio.shield(kept)))
    log = await services.chat.begin_turn(record, session, f"!{code}", [], None)
    services.sessions.touch(record)
    if "application/x-ndjson" in request.headers.get("accept", ""):
        return ndjson(log)
    return JSONResponse(await _cell(log))


async def _kept(conversation: ConversationStore, cell_id: str, running: asyncio.Future[CellRecord]) -> CellRecord:
    """Keep what a cell comes to in the place of another one, whoever waits for it. Raises GloveboxError as it does."""
    cell = await running
    await conversation.move_cell(cell, cell_id)
    return replace(cell, cell_id=cell_id)


async def _cell(log: EventLog) -> dict[str, Any]:
    """Return the cell of a turn that has one. Raises GloveboxError where it never ran."""
    async for _, event in log.follow():
        match event:
            case CellFinished():
                return {name: value for name, value in event.as_json().items() if name != "type"}
            case TurnFinished(problem=problem) if problem is not None:
                raise GloveboxError.of_problem(problem)
    raise SandboxUnavailable("The cell was stopped before it ran.", code="cell_stopped")
