"""A new session's profile: the one asked for, else one's own default while it is allowed, else the config's."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.api.services import Services
from orchestrator.api.settings import profile_for
from orchestrator.people.service import Person
from orchestrator.store.settings import UserSettings


def services(default: str | None) -> Services:
    async def of(_: str) -> UserSettings:
        return UserSettings(default_profile=default)

    profiles: dict[str, Any] = {
        "standard": SimpleNamespace(roles=("member", "admin")),
        "large": SimpleNamespace(roles=("admin",)),
    }
    made = SimpleNamespace(
        user_settings=SimpleNamespace(of=of), settings=SimpleNamespace(config=SimpleNamespace(profiles=profiles))
    )
    return cast(Services, made)


@pytest.mark.parametrize(
    ("role", "asked", "default", "chosen"),
    [
        ("admin", None, "large", "large"),
        ("admin", "standard", "large", "standard"),
        ("member", None, "large", None),
        ("member", "large", "standard", "large"),  # refused where the session is made
        ("member", None, "gone", None),
        ("member", None, None, None),
    ],
)
async def test_what_is_asked_for_comes_before_ones_own_default(
    role: str, asked: str | None, default: str | None, chosen: str | None
) -> None:
    person = cast(Person, SimpleNamespace(id="ann", role=role))
    assert await profile_for(services(default), person, asked) == chosen
