"""Doors of sharing: an owner lets colleagues read a session, by name, and nobody else."""

from typing import Any

from fastapi import APIRouter, Response
from starlette.responses import JSONResponse

from orchestrator.api.services import Me, Owned, Team, Wired
from orchestrator.api.shapes import ShareShape
from orchestrator.errors import BadRequest
from orchestrator.store.audit import AuditEntry

router = APIRouter(prefix="/v1/sessions/{session_id}/shares", tags=["sharing"])


@router.get("", response_model=list[ShareShape])
async def readers(owned: Owned, services: Wired, _: Team) -> Any:
    """List who may read this session beside its owner."""
    return JSONResponse([{"name": name} for name in await services.shares.readers(owned[0].id)])


@router.put("/{name}", status_code=204)
async def share(owned: Owned, services: Wired, people: Team, person: Me, name: str) -> Response:
    """Let a colleague read this session: the conversation, the files, and what happens. They cannot change a thing."""
    reader = await people.named(name)
    if reader.id == person.id:
        raise BadRequest("This session is your own; name a colleague.", code="own_session")
    await services.shares.grant(owned[0].id, reader.id)
    services.audit.note(AuditEntry(person.id, "shared", "allowed", owned[0].name, reader.name, owned[0].id))
    return Response(status_code=204)


@router.delete("/{name}", status_code=204)
async def stop_sharing(owned: Owned, services: Wired, people: Team, person: Me, name: str) -> Response:
    """Let a colleague read this session no more; what they are watching ends."""
    reader = await people.named(name)
    await services.shares.withdraw(owned[0].id, reader.id)
    services.presence.end_in_session(reader.id, owned[0].id)
    services.audit.note(AuditEntry(person.id, "unshared", "allowed", owned[0].name, reader.name, owned[0].id))
    return Response(status_code=204)
