"""Doors of sessions: make, list, look, change, delete; interrupt and restart."""

import asyncio
from dataclasses import asdict
from operator import itemgetter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from starlette.responses import JSONResponse

from orchestrator.api.problems import NO_MODEL, NO_SANDBOX
from orchestrator.api.services import Me, Owned, Readable, Services, Wired
from orchestrator.api.settings import profile_for
from orchestrator.api.shapes import NO_NUL, NewSession, SessionChange, SessionShape, session_shape
from orchestrator.chat.service import NEW_SESSION_NAME
from orchestrator.limits import NAME_CHARS
from orchestrator.sessions.session import LiveSession

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@router.post("", status_code=201, response_model=SessionShape)
async def make_session(services: Wired, person: Me, body: NewSession | None = None) -> Any:
    """Make a session. Its sandbox starts with its first use."""
    wanted = body or NewSession()
    profile = await profile_for(services, person, wanted.profile)
    record = await services.sessions.make(person.id, person.role, wanted.name or NEW_SESSION_NAME, profile)
    shape = session_shape(record, services.sessions.live(record), 0)
    return JSONResponse(shape, 201, {"Location": f"/v1/sessions/{record.id}"})


@router.get("", response_model=list[SessionShape])
async def list_sessions(
    services: Wired, person: Me, search: Annotated[str, Query(max_length=NAME_CHARS, pattern=NO_NUL)] = ""
) -> Any:
    """List my sessions and those that others share with me, the most recently used first.

    With `search`, only those whose name or messages contain that text.
    """
    mine = [session_shape(record, live, None) for record, live in await services.sessions.list(person.id)]
    shared = await services.sessions.list_shared(person.id)
    theirs = [session_shape(record, live, None, shared_by) for record, live, shared_by in shared]
    listed = sorted(mine + theirs, key=itemgetter("last_active_at"), reverse=True)
    if wanted := search.strip():
        rest = [one["id"] for one in listed if wanted.casefold() not in one["name"].casefold()]
        left_out = {*rest} - await services.search.containing(rest, wanted)
        listed = [one for one in listed if one["id"] not in left_out]
    return JSONResponse(listed)


@router.get("/{session_id}", response_model=SessionShape)
async def look_at_session(found: Readable, services: Wired) -> Any:
    """Look at a session, with what its models used."""
    disk_bytes, spent = await asyncio.gather(_disk_bytes(found.live), _spent(services, found.record.id))
    return JSONResponse(session_shape(found.record, found.live, disk_bytes, found.shared_by, spent))


@router.patch("/{session_id}", response_model=SessionShape, responses=NO_MODEL)
async def change_session(owned: Owned, services: Wired, body: SessionChange) -> Any:
    """Give a session another name, model, way of approval or instructions."""
    record, _ = owned
    await services.chat.change(record, body.changes())
    record, live = await services.sessions.find(record.owner, record.id)
    return JSONResponse(session_shape(record, live, await _disk_bytes(live)))


@router.delete("/{session_id}", status_code=204, responses=NO_SANDBOX)
async def delete_session(owned: Owned, services: Wired) -> Response:
    """Delete a session with its conversation and its files."""
    record, _ = owned
    await services.chat.stop(record.id)
    await services.sessions.delete(record)
    return Response(status_code=204)


@router.post("/{session_id}/interrupt", status_code=204, responses=NO_SANDBOX)
async def interrupt(owned: Owned) -> Response:
    """Interrupt the cell that runs; variables are kept."""
    await owned[1].interrupt()
    return Response(status_code=204)


@router.post("/{session_id}/restart", status_code=204, responses=NO_SANDBOX)
async def restart(owned: Owned) -> Response:
    """Start a fresh kernel; variables are lost, files kept."""
    await owned[1].restart()
    return Response(status_code=204)


@router.post("/{session_id}/sleep", status_code=204, responses=NO_SANDBOX)
async def sleep(owned: Owned) -> Response:
    """Put a session to sleep now: its sandbox makes room for others, files and variables are kept."""
    await owned[1].sleep_now()
    return Response(status_code=204)


async def _spent(services: Services, session_id: str) -> dict[str, Any]:
    """Return what a session's models used in all, and how full the window of the one that was asked last is."""
    use = await services.models.use.of_session(session_id)
    window = services.models.about(use.last_model).window if use.last_model else None
    return asdict(use.used) | {"window_tokens": use.last_tokens_in, "window": window}


async def _disk_bytes(live: LiveSession) -> int | None:
    """Return what the session's files take; None while its disk is closed, since looking is no reason to open it."""
    return (await asyncio.to_thread(live.folder.usage)).disk_bytes if live.disk.is_open else None
