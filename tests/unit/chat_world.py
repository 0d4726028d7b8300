"""A chat with one session, on a real database and the demo model over HTTP; the session's cells are played."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.api.shapes import message_shape
from orchestrator.app import demo_model
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.service import Chat
from orchestrator.config import Chat as ChatConfig
from orchestrator.config import Config, Provider
from orchestrator.events import EventLog, TurnStarted
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import MessageRecord, SessionRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.store.settings import SettingsStore
from orchestrator.store.summaries import SummaryStore
from tests.unit.counting_provider import models_of
from tests.unit.played import PlayedSession, database_url, of_type

NO_KEY = Provider(name="none", api_key_env="GLOVEBOX_TEST_NO_SUCH_KEY", models=("no-key",))
ANSWER = MessageRecord("new", "s", "assistant", datetime.now(UTC))
CONFIG = Config(providers=(NO_KEY,), chat=ChatConfig(extra_instructions="Speak like an admin."))


class PlayedSessions:
    """The session service, as far as a chat asks for it."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def change(self, record: SessionRecord, changes: dict[str, str | None]) -> None:
        await self._store.change(record.id, changes)


class World:
    """A chat with one session."""

    def __init__(self, chat: Chat, sessions: SessionStore, settings: SettingsStore, session: PlayedSession) -> None:
        self.chat = chat
        self.sessions = sessions
        self.settings = settings
        self.session = session

    async def record(self) -> SessionRecord:
        return await self.sessions.get("ann", self.session.id)

    async def begin(self, content: str, model: str | None = None, **how: Any) -> EventLog:
        attachments = how.pop("attachments", [])
        return await self.chat.begin_turn(
            await self.record(), self.session, content, attachments, model, **how  # type: ignore[arg-type]
        )  # fmt: skip

    async def say(self, content: str, model: str | None = None, **how: Any) -> EventLog:
        return await whole(await self.begin(content, model, **how))

    async def again(self, message_id: str, model: str | None = None, **how: bool) -> EventLog:
        record = await self.record()
        return await whole(await self.chat.begin_again(record, self.session, message_id, model, **how))  # type: ignore[arg-type]

    async def shown(self) -> list[dict[str, Any]]:
        shown, cells = await self.chat.messages(self.session.id)
        return [message_shape(one.message, one.siblings, cells) for one in shown]

    async def contents(self) -> list[str]:
        return [message["content"] for message in await self.shown() if message["role"] == "user"]


def asked() -> MessageRecord:
    return MessageRecord("q", "s", "user", datetime.now(UTC), content="And now?")


@asynccontextmanager
async def chat_world(tmp_path: Path) -> AsyncIterator[World]:
    database = Database(database_url(tmp_path))
    await database.open()
    conversation, sessions, settings = ConversationStore(database), SessionStore(database), SettingsStore(database)
    record = await sessions.add("ann", "New session", "standard")
    async with demo_model() as socket:
        models = models_of(CONFIG, database, tmp_path, socket)
        chat = Chat(
            CONFIG.chat,
            models,
            PlayedSessions(sessions),  # type: ignore[arg-type]
            conversation,
            settings,
            Contexts(CONFIG.chat, models, SummaryStore(database)),
            lambda *_: None,
        )
        yield World(chat, sessions, settings, PlayedSession(record.id, conversation))
        await chat.close()
        await models.close()
    await database.close()


async def whole(log: EventLog) -> EventLog:
    async with asyncio.timeout(60):
        async for _ in log.follow():
            pass
    return log


def begun(log: EventLog) -> TurnStarted:
    (event,) = of_type(log, "turn_started")
    assert isinstance(event, TurnStarted)
    return event


def said(log: EventLog) -> str:
    return "".join(event.as_json()["text"] for event in of_type(log, "text_delta"))
