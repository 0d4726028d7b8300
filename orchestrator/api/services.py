"""What the doors need, as one typed value, and who is asking."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from structlog.contextvars import bind_contextvars

from orchestrator.api.refusals import Refusals
from orchestrator.chat.models import Models
from orchestrator.chat.service import Chat
from orchestrator.config import Settings
from orchestrator.errors import Conflict, Forbidden, SessionNotFound
from orchestrator.people.elsewhere import Elsewhere
from orchestrator.people.keys import OwnKeys
from orchestrator.people.oidc import SingleSignOn
from orchestrator.people.presence import Presence
from orchestrator.people.service import Caller, People, Person
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.service import Sessions
from orchestrator.sessions.session import LiveSession
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.audit import AuditLog
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import SessionRecord
from orchestrator.store.search import SearchStore
from orchestrator.store.settings import SettingsStore
from orchestrator.store.shares import ShareStore


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one process, made by `orchestrator.app`."""

    settings: Settings
    database: Database
    conversation: ConversationStore
    sessions: Sessions
    chat: Chat
    models: Models
    spawner: SpawnerClient
    audit: AuditLog
    refusals: Refusals
    people: People
    shares: ShareStore
    user_settings: SettingsStore
    search: SearchStore
    presence: Presence
    elsewhere: Elsewhere
    sso: SingleSignOn | None
    activity: Activity
    keys: OwnKeys


# Async, though they wait for nothing: FastAPI calls any other kind in a thread, which costs each request more than the
# rest of its door does.


def services_of(request: Request) -> Services:
    """Return the services of the app that serves a request."""
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return services_of(request)


async def _caller(request: Request) -> Caller:
    """Return who asks, as the guard found; a route that it leaves open to everybody has nobody to ask for."""
    caller: Caller = request.state.caller
    return caller


async def _stays(request: Request) -> None:
    """Have a request that ends its own caller's visits live to tell."""
    if (visit := getattr(request.state, "visit", None)) is not None:
        visit.stays = True


async def _person(caller: Annotated[Caller, Depends(_caller)]) -> Person:
    return caller.person


async def _admin(person: Annotated[Person, Depends(_person)]) -> Person:
    if person.role != "admin":
        raise Forbidden("Only an admin may do that. Ask one.", code="admins_only", title="Only an admin may do that")
    return person


async def _team(request: Request) -> People:
    """Return the people service, where there is more than one person to serve."""
    services = services_of(request)
    if services.settings.config.people.mode != "team":
        raise Conflict("This Glovebox has one user. Set people.mode to 'team' in the config first.", code="no_team")
    return services.people


@dataclass(frozen=True, slots=True)
class ReadableSession:
    """A session that the caller may read; `shared_by` is None where it is their own."""

    record: SessionRecord
    live: LiveSession
    shared_by: str | None


async def _readable(request: Request, session_id: Annotated[str, Path(max_length=64)]) -> ReadableSession:
    person = request.state.caller.person
    if (visit := getattr(request.state, "visit", None)) is not None:
        visit.session_id = session_id  # before it is looked at whether they may: a grant can end in between
    sessions = services_of(request).sessions
    try:
        found = ReadableSession(*await sessions.find(person.id, session_id), None)
    except SessionNotFound:
        found = ReadableSession(*await sessions.find_shared(person.id, session_id))
    request.state.session_id = found.record.id
    bind_contextvars(session=found.record.id)
    return found


async def _owned(
    request: Request, session_id: Annotated[str, Path(max_length=64)]
) -> tuple[SessionRecord, LiveSession]:
    found = await _readable(request, session_id)  # no dependency: each costs a request more than what it does
    if found.shared_by is not None:
        detail = f"{found.shared_by} shares this session with you to be read. Make a session of your own to go on."
        raise Forbidden(detail, code="read_only", title="You may only read this session")
    return found.record, found.live


Wired = Annotated[Services, Depends(_services)]
Asking = Annotated[Caller, Depends(_caller)]
Me = Annotated[Person, Depends(_person)]
Admin = Annotated[Person, Depends(_admin)]
Team = Annotated[People, Depends(_team)]
STAYS = Depends(_stays)
Readable = Annotated[ReadableSession, Depends(_readable)]
Owned = Annotated[tuple[SessionRecord, LiveSession], Depends(_owned)]
