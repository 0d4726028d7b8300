"""Doors of people: logging in and out, one's own password and tokens; for admins, everybody's accounts."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from orchestrator.api.account_shapes import (
    AccountChange,
    AccountShape,
    AnotherPassword,
    Login,
    LoginShape,
    NewAccount,
    NewToken,
    NewTokenShape,
    SsoAnswer,
    SsoBegun,
    TokenShape,
    WaysIn,
    account_shape,
    person_shape,
    token_shape,
)
from orchestrator.api.addresses import asked_from
from orchestrator.api.problems import NO_PROVIDER
from orchestrator.api.services import STAYS, Admin, Asking, Me, Services, Team, Wired
from orchestrator.config_people import OpenIdConnect
from orchestrator.errors import Conflict
from orchestrator.people.oidc import SingleSignOn
from orchestrator.people.service import Person
from orchestrator.store.audit import AuditEntry

router = APIRouter(prefix="/v1", tags=["people"])
_SECRET = {"Cache-Control": "no-store"}


@router.get("/login", response_model=WaysIn)
async def ways_in(services: Wired) -> Any:
    """Tell how people come in; anybody may ask."""
    people = services.settings.config.people
    headers = [] if people.proxy is None else [people.proxy.user_header, people.proxy.secret_header]
    return JSONResponse({"mode": people.mode, "sso": people.oidc is not None, "proxy_headers": headers})


@router.post("/login", response_model=LoginShape)
async def log_in(services: Wired, people: Team, request: Request, body: Login) -> Any:
    """Log in with name and password; the answer's token stands for this person for 14 days."""
    browser = request.headers.get("user-agent", "")
    person, token = await people.sign_in(body.name, body.password, _address(services, request), browser)
    _note(services, person, "login", person.name)
    return JSONResponse({"token": token, "person": person_shape(person)}, headers=_SECRET)


@router.post("/login/sso", response_model=SsoBegun, responses=NO_PROVIDER)
async def begin_sso(services: Wired, _: Team) -> Any:
    """Begin a single sign-on; anybody may."""
    config, sso = _sso(services)
    begun = await sso.begin()
    return JSONResponse({"url": begun.url, "flow": begun.flow, "redirect_uri": config.redirect_uri}, headers=_SECRET)


@router.post("/login/sso/finish", response_model=LoginShape, responses=NO_PROVIDER)
async def finish_sso(services: Wired, people: Team, request: Request, body: SsoAnswer) -> Any:
    """Finish a single sign-on; the answer's token stands for whom the provider vouches for."""
    config, sso = _sso(services)
    vouched = await sso.finish(body.flow, body.state, body.code, body.iss)
    person = await services.elsewhere.person(vouched, new_people=config.new_people)
    token = await people.log_in(person, request.headers.get("user-agent", ""))
    _note(services, person, "login", person.name, "single sign-on")
    return JSONResponse({"token": token, "person": person_shape(person)}, headers=_SECRET)


@router.post("/logout", status_code=204, dependencies=[STAYS])
async def log_out(services: Wired, people: Team, caller: Asking) -> Response:
    """End the login, or the token, that this request came with."""
    if caller.secret_id is not None:
        await people.revoke(caller.person, caller.secret_id)
    _note(services, caller.person, "logout", caller.person.name)
    return Response(status_code=204)


@router.put("/me/password", status_code=204, dependencies=[STAYS])
async def change_password(
    services: Wired, people: Team, person: Me, request: Request, body: AnotherPassword
) -> Response:
    """Change one's own password. All logins end with it, this one as well; tokens stay."""
    await people.change_password(person, body.old, body.new, _address(services, request))
    _note(services, person, "password", person.name)
    return Response(status_code=204)


@router.get("/tokens", response_model=list[TokenShape])
async def tokens(people: Team, person: Me) -> Any:
    """List one's own tokens."""
    return JSONResponse([token_shape(record) for record in await people.tokens(person)])


@router.post("/tokens", status_code=201, response_model=NewTokenShape)
async def add_token(services: Wired, people: Team, person: Me, body: NewToken) -> Any:
    """Make a token of one's own. It is told in this answer, and never again."""
    record, token = await people.add_token(person, body.name)
    _note(services, person, "token_added", record.name)
    return JSONResponse(token_shape(record) | {"token": token}, 201, _SECRET)


@router.delete("/tokens/{token_id}", status_code=204, dependencies=[STAYS])
async def revoke_token(services: Wired, people: Team, person: Me, token_id: str) -> Response:
    """Revoke one of one's own tokens."""
    await people.revoke(person, token_id)
    _note(services, person, "token_revoked", token_id)
    return Response(status_code=204)


@router.get("/users", response_model=list[AccountShape])
async def accounts(people: Team, _: Admin) -> Any:
    """List all accounts."""
    return JSONResponse([account_shape(record) for record in await people.everybody()])


@router.post("/users", status_code=201, response_model=AccountShape)
async def add_account(services: Wired, people: Team, admin: Admin, body: NewAccount) -> Any:
    """Add an account; without a password its person comes in by single sign-on or by tokens."""
    person = await people.add(body.name, body.role, body.password)
    _note(services, admin, "user_added", person.name, person.role)
    return JSONResponse(account_shape(await people.named(person.name)), 201)


@router.patch("/users/{name}", response_model=AccountShape, dependencies=[STAYS])
async def change_account(services: Wired, people: Team, admin: Admin, name: str, body: AccountChange) -> Any:
    """Give somebody another role or password, shut them out, or let them in again."""
    user = await people.named(name)
    if body.role is not None:
        await people.set_role(user.name, body.role)
        _note(services, admin, "user_role", user.name, body.role)
    if body.disabled is not None:
        await people.set_disabled(user.name, disabled=body.disabled)
        _note(services, admin, "user_disabled" if body.disabled else "user_enabled", user.name)
    if body.password is not None:
        await people.set_password(user.name, body.password)
        _note(services, admin, "user_password", user.name)
    return JSONResponse(account_shape(await people.named(user.name)))


def _sso(services: Services) -> tuple[OpenIdConnect, SingleSignOn]:
    config = services.settings.config.people.oidc
    if config is None or services.sso is None:
        raise Conflict("Single sign-on is not set up here: see people.oidc of the config.", code="no_sso")
    return config, services.sso


def _address(services: Services, request: Request) -> str:
    return asked_from(request, services.settings.config.server.trusted_proxies)


def _note(services: Services, person: Person, action: str, subject: str, detail: str = "") -> None:
    services.audit.note(AuditEntry(person.id, action, "allowed", subject, detail))
