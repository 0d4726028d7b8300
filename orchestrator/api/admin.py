"""Doors for admins: who runs what on this host, what it takes, and ending it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.responses import JSONResponse

from orchestrator.api.problems import NO_SANDBOX
from orchestrator.api.services import Admin, Services, Wired
from orchestrator.errors import SandboxUnavailable
from orchestrator.people.service import LOCAL
from orchestrator.sessions.admission import Room
from orchestrator.sessions.session import LiveSession
from orchestrator.store.audit import AuditEntry
from orchestrator.store.records import SessionRecord

router = APIRouter(prefix="/v1/admin", tags=["admin"])


class RoomShape(BaseModel):
    """Memory in MiB and CPUs."""

    memory_mb: float
    cpus: float


class SandboxShape(BaseModel):
    """One session that has a sandbox, or waits for one; null is what could not be measured."""

    session_id: str
    name: str
    owner: str
    profile: str
    state: str
    queue_place: int | None
    cell_runs_s: float | None
    memory_bytes: int | None
    cpu_s: float | None
    pids: int | None
    disk_bytes: int | None


class HostShape(BaseModel):
    """What was promised of this host, to whom, and what it takes."""

    capacity: RoomShape
    promised: RoomShape
    waiting: int
    warm: dict[str, int]
    sandboxes: list[SandboxShape]


@router.get("/sandboxes", response_model=HostShape)
async def sandboxes(services: Wired, _: Admin) -> Any:
    """Show who runs what, with CPU time, memory and disk as they are now."""
    names = {LOCAL.id: LOCAL.name} | {user.id: user.name for user in await services.people.everybody()}
    awake = await services.sessions.awake()
    looked = await asyncio.gather(*(_look(services, record, live, names) for record, live in awake))
    seats = services.sessions.seats
    host = HostShape(
        capacity=_room(seats.capacity),
        promised=_room(seats.promised),
        waiting=seats.waiting,
        warm=services.sessions.pool.count(),
        sandboxes=sorted(looked, key=lambda one: -(one.memory_bytes or 0)),
    )
    return JSONResponse(host.model_dump(mode="json"))


@router.post("/sandboxes/{session_id}/stop", status_code=204, responses=NO_SANDBOX)
async def stop(services: Wired, admin: Admin, session_id: str) -> Response:
    """End a sandbox: an idle session falls asleep with its variables, a running cell is lost. Files stay."""
    record, live = await services.sessions.find_anybodys(session_id)
    services.audit.note(AuditEntry(admin.id, "sandbox_stopped", "allowed", record.owner, session_id=record.id))
    await services.chat.stop(record.id)
    await live.end_sandbox("An admin ended the sandbox.")
    return Response(status_code=204)


async def _look(services: Services, record: SessionRecord, live: LiveSession, names: dict[str, str]) -> SandboxShape:
    try:
        used = await services.spawner.stats(record.id)
    except SandboxUnavailable:  # it ended in between, or waits for its container
        used = None
    began = live.cell_began_at
    disk = await asyncio.to_thread(live.folder.usage) if live.disk.is_open else None
    return SandboxShape(
        session_id=record.id,
        name=record.name,
        owner=names.get(record.owner, record.owner),
        profile=record.profile,
        state=live.state,
        queue_place=live.sandbox.seats.place(record.id),
        cell_runs_s=None if began is None else round((datetime.now(UTC) - began).total_seconds(), 1),
        memory_bytes=None if used is None else used.memory_bytes,
        cpu_s=None if used is None else round(used.cpu_ns / 1e9, 2),
        pids=None if used is None else used.pids,
        disk_bytes=None if disk is None else disk.disk_bytes,
    )


def _room(room: Room) -> RoomShape:
    return RoomShape(memory_mb=room.memory_mb, cpus=room.cpus)
