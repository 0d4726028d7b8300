"""Doors of what people set for themselves."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from orchestrator.api.services import Me, Services, Wired
from orchestrator.api.shapes import Body, Instructions, ModelName, ProfileName
from orchestrator.errors import BadRequest
from orchestrator.people.service import Person

router = APIRouter(prefix="/v1/me/settings", tags=["people"])
Theme = Literal["system", "light", "dark"]
# BCP 47, as far as its form goes.
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]


class SettingsShape(BaseModel):
    """What a person set; `language` null is the browser's, `default_model` and `default_profile` null the config's."""

    instructions: str
    language: str | None
    theme: Theme
    fold_code: bool
    default_model: str | None
    default_profile: str | None


class SettingsChange(Body):
    """Body of `PUT /v1/me/settings`; what is left out stays as it is."""

    instructions: Instructions | None = None
    language: Language | None = None
    theme: Theme | None = None
    fold_code: bool | None = None
    default_model: ModelName | None = None
    default_profile: ProfileName | None = None

    def changes(self) -> dict[str, Any]:
        """Return what is to be changed."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name in _CAN_BE_NONE}


_CAN_BE_NONE = ("language", "default_model", "default_profile")


@router.get("", response_model=SettingsShape)
async def settings(services: Wired, person: Me) -> Any:
    """Tell what I set."""
    return JSONResponse(asdict(await services.user_settings.of(person.id)))


@router.put("", response_model=SettingsShape)
async def change_settings(services: Wired, person: Me, body: SettingsChange) -> Any:
    """Set something for myself, in all my sessions."""
    known = {model.id for model in await services.models.list(person.id)}
    if body.default_model is not None and body.default_model not in known:
        raise BadRequest(f"There is no model {body.default_model[:100]!r}.", code="unknown_model")
    if body.default_profile is not None and body.default_profile not in _profiles(services, person):
        mine = ", ".join(_profiles(services, person))
        raise BadRequest(f"There is no profile {body.default_profile!r}; allowed: {mine}.", code="unknown_profile")
    return JSONResponse(asdict(await services.user_settings.change(person.id, body.changes())))


async def profile_for(services: Services, person: Person, asked: str | None) -> str | None:
    """Return the profile of a new session: what is asked for, else what this person set, if it is (still) for them."""
    if asked is not None:
        return asked
    theirs = (await services.user_settings.of(person.id)).default_profile
    return theirs if theirs in _profiles(services, person) else None


def _profiles(services: Services, person: Person) -> list[str]:
    return [name for name, profile in services.settings.config.profiles.items() if person.role in profile.roles]
