"""What the doors need, as one typed value, and who is asking."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from orchestrator.api.refusals import Refusals
from orchestrator.chat.models import Models
from orchestrator.chat.service import Chat
from orchestrator.config import Settings
from orchestrator.sessions.service import Sessions
from orchestrator.sessions.session import LiveSession
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.audit import AuditLog
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import SessionRecord

SINGLE_USER = "local"


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


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _owned(
    request: Request, session_id: Annotated[str, Path(max_length=64)]
) -> tuple[SessionRecord, LiveSession]:
    found = await _services(request).sessions.find(SINGLE_USER, session_id)
    request.state.session_id = found[0].id
    return found


Wired = Annotated[Services, Depends(_services)]
Owned = Annotated[tuple[SessionRecord, LiveSession], Depends(_owned)]
