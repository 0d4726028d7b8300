"""Doors that tell about the server: health, models, profiles, the asker."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from orchestrator.api.problems import NO_SANDBOX
from orchestrator.api.services import Asking, Me, Wired
from orchestrator.api.shapes import MeShape, ModelShape, ProfileShape
from orchestrator.errors import SandboxUnavailable
from orchestrator.people.service import LOCAL

router = APIRouter(tags=["about"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses=NO_SANDBOX)
async def readyz(services: Wired) -> dict[str, str]:
    """Tell that database, disks, engine, images and runtimes are there; `503` with what is missing otherwise."""
    await services.sessions.list(LOCAL.id)
    await services.sessions.check_disks()
    checked = await services.spawner.check()
    if checked.missing:
        raise SandboxUnavailable("; ".join(checked.missing), code="not_ready")
    return {"status": "ready", "engine": checked.engine}


@router.get("/v1/models", response_model=list[ModelShape])
async def models(services: Wired, person: Me) -> Any:
    """List the models that the asker may pick; keys of their own count."""
    return JSONResponse([asdict(model) for model in await services.models.list(person.id)])


@router.get("/v1/profiles", response_model=list[ProfileShape])
async def profiles(services: Wired, person: Me) -> Any:
    """List the profiles that the asker may use."""
    config = services.settings.config
    return JSONResponse(
        [
            {"name": name, "default": name == config.default_profile, "limits": profile.limits()}
            for name, profile in config.profiles.items()
            if person.role in profile.roles
        ]
    )


@router.get("/v1/me", response_model=MeShape)
async def me(services: Wired, caller: Asking) -> Any:
    """Tell who asks."""
    person = caller.person
    mode = services.settings.config.people.mode
    return JSONResponse(
        {"id": person.id, "name": person.name, "role": person.role, "mode": mode}
        | {"can_log_out": caller.secret_id is not None}
    )
