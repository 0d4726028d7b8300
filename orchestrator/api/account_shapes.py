"""What the doors of people take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from orchestrator.api.shapes import Body, Text
from orchestrator.config_people import Role
from orchestrator.limits import PASSWORD_LONGEST, PASSWORD_SHORTEST
from orchestrator.people.service import Person
from orchestrator.store.people import SecretRecord, UserRecord

Name = Annotated[str, Field(max_length=200)]
NewPassword = Annotated[str, Field(min_length=PASSWORD_SHORTEST, max_length=PASSWORD_LONGEST)]
Password = Annotated[str, Field(max_length=1000)]


class Login(Body):
    """Body of `POST /v1/login`."""

    name: Name
    password: Password


class AnotherPassword(Body):
    """Body of `PUT /v1/me/password`."""

    old: Password
    new: NewPassword


class NewToken(Body):
    """Body of `POST /v1/tokens`; the name says what it is for."""

    name: Annotated[Text, Field(max_length=100)]


class NewAccount(Body):
    """Body of `POST /v1/users`."""

    name: Name
    role: Role = "member"
    password: NewPassword | None = None


class AccountChange(Body):
    """Body of `PATCH /v1/users/{name}`; what is left out stays as it is."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class SsoAnswer(Body):
    """Body of `POST /v1/login/sso/finish`: what the provider sent the browser back with, and the flow that it kept."""

    flow: Annotated[str, Field(max_length=4000)]
    state: Annotated[str, Field(max_length=200)]
    code: Annotated[str, Field(max_length=4000)]
    iss: Annotated[str, Field(max_length=500)] | None = None


class SsoBegun(BaseModel):
    """Where to send the browser, and what it must keep; `redirect_uri` is where it will come back."""

    url: str
    flow: str
    redirect_uri: str


class WaysIn(BaseModel):
    """How people come in; `proxy_headers` are passed on by a page behind a proxy that logs people in."""

    mode: Literal["one", "team"]
    sso: bool
    proxy_headers: list[str]


class PersonShape(BaseModel):
    """A person."""

    id: str
    name: str
    role: Role


class LoginShape(BaseModel):
    """A login: its token stands for the person."""

    token: str
    person: PersonShape


class TokenShape(BaseModel):
    """A token, without what proves it."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


class NewTokenShape(TokenShape):
    """A new token, told this once."""

    token: str


class AccountShape(BaseModel):
    """An account; `password` says whether it has one."""

    id: str
    name: str
    role: Role
    disabled: bool
    password: bool
    created_at: datetime


def person_shape(person: Person) -> dict[str, Any]:
    """Return a person for the wire."""
    return PersonShape(id=person.id, name=person.name, role=person.role).model_dump(mode="json")


def token_shape(record: SecretRecord) -> dict[str, Any]:
    """Return a token for the wire."""
    shape = TokenShape(id=record.id, name=record.name, created_at=record.created_at, used_at=record.used_at)
    return shape.model_dump(mode="json")


def account_shape(record: UserRecord) -> dict[str, Any]:
    """Return an account for the wire."""
    return AccountShape(
        id=record.id,
        name=record.name,
        role=record.role,
        disabled=record.disabled,
        password=record.password_hash is not None,
        created_at=record.created_at,
    ).model_dump(mode="json")
