"""Doors of what a person brings and uses: keys of their own for providers, and what is left for today."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from orchestrator.api.services import Me, Services, Wired
from orchestrator.api.shapes import Body
from orchestrator.limits import OWN_KEY_CHARS
from orchestrator.people.service import Person
from orchestrator.store.audit import AuditEntry

router = APIRouter(prefix="/v1/me", tags=["people"])
Provider = Annotated[str, Path(max_length=40)]


class NewKey(Body):
    """Body of `PUT /v1/me/keys/{provider}`."""

    key: Annotated[str, Field(max_length=OWN_KEY_CHARS + 100)]


class KeyShape(BaseModel):
    """A key of one's own; of the key itself there is only a hint."""

    provider: str
    hint: str
    created_at: datetime


class UsageShape(BaseModel):
    """What one used today, and may use; null where there is no limit, or nothing is known."""

    tokens_today: int
    cost_today: float | None
    tokens_per_day: int | None
    cost_per_day: float | None
    disk_bytes: int | None
    disk_mb: int | None


@router.get("/keys", response_model=list[KeyShape])
async def keys(services: Wired, person: Me) -> Any:
    """List one's own keys; a key is never told again."""
    found = await services.keys.list(person.id)
    return JSONResponse(
        [{"provider": k.provider, "hint": k.hint, "created_at": k.created_at.isoformat()} for k in found]
    )


@router.put("/keys/{provider}", status_code=204)
async def put_key(services: Wired, person: Me, provider: Provider, body: NewKey) -> Response:
    """Bring a key of one's own for a provider; it is used in one's own sessions."""
    await services.keys.put(person.id, provider, body.key)
    _note(services, person, "key_added", provider)
    return Response(status_code=204)


@router.delete("/keys/{provider}", status_code=204)
async def remove_key(services: Wired, person: Me, provider: Provider) -> Response:
    """Take one's own key back."""
    await services.keys.remove(person.id, provider)
    _note(services, person, "key_removed", provider)
    return Response(status_code=204)


@router.get("/usage", response_model=UsageShape)
async def usage(services: Wired, person: Me) -> Any:
    """Tell what one used of models today (UTC), but for what went to keys of one's own, and what one may use."""
    used, quota = await services.models.use.today(person.id)
    disk_bytes = await services.sessions.disk_quota.used(person.id)
    return JSONResponse(
        {
            "tokens_today": used.tokens,
            "cost_today": used.cost,
            "tokens_per_day": quota.tokens_per_day,
            "cost_per_day": quota.cost_per_day,
            "disk_bytes": disk_bytes,
            "disk_mb": quota.disk_mb,
        }
    )


def _note(services: Services, person: Person, action: str, provider: str) -> None:
    services.audit.note(AuditEntry(person.id, action, "allowed", provider, ""))
