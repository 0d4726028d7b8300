"""A conversation with real turns, a real database and a played provider, and cells that are played, too."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.chat.context import Context
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.models import Models
from orchestrator.chat.turn import Turn
from orchestrator.config import Chat, Profile
from orchestrator.events import Event, EventLog
from orchestrator.sessions.aside import Aside
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.store.sessions import SessionStore
from orchestrator.store.summaries import SummaryStore
from orchestrator.workspace.folder import FoundFile, SessionFolder
from tests.unit.counting_provider import Provider, models_of, played

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


class PlayedSandbox:
    running = False


class PlayedSession:
    """Stands for a live session: its cells put out what a test says, and it answers asides."""

    def __init__(self, session_id: str, folder: SessionFolder) -> None:
        self.id = session_id
        self.folder = folder
        self.owner = "somebody"
        self.profile = Profile()
        self.sandbox = PlayedSandbox()
        self.running_message_id: str | None = None
        self.outputs: list[list[dict[str, Any]]] = []
        self.answers: dict[str, str] = {}
        self.asked: list[tuple[Aside, bool]] = []
        self.cells: list[CellRecord] = []

    async def files(self, *, make: bool = False) -> SessionFolder:
        return self.folder

    async def run_cell(self, code: str, timeout_s: float | None, events: EventLog, message_id: str) -> CellRecord:
        shown = self.outputs.pop(0) if self.outputs else [printed("one line of a result\n" * 120)]
        cell = CellRecord(uuid.uuid4().hex, self.id, message_id, code, NOW, "ok", 1, shown)
        self.cells.append(cell)
        return cell

    async def ask_aside(self, question: Aside, watcher: Any = None) -> str:
        self.asked.append((question, watcher is not None))
        if watcher is None and not self.sandbox.running:
            return ""
        self.sandbox.running = True
        return self.answers.get(question.module, "")


@dataclass
class World:
    """A session and all that its turns need."""

    record: SessionRecord
    session: PlayedSession
    provider: Provider
    models: Models
    contexts: Contexts
    conversation: ConversationStore
    summaries: SummaryStore
    chat: Chat
    database: Database
    branch: list[MessageRecord] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    model: str = "m"
    problem: dict[str, Any] | None = None

    def files(self) -> list[FoundFile]:
        return self.session.folder.list_files()

    async def context(self, question: MessageRecord, extra: str = "") -> Context:
        session: Any = self.session
        branch = [*self.branch, question]
        return await self.contexts.make(
            session, self.model, branch, self.session.cells, self.results, self.files(), extra
        )

    async def say(self, content: str, *attachments: str, extra: str = "") -> tuple[MessageRecord, list[Event]]:
        """Have a whole turn, and return the answer and the turn's events."""
        ids = uuid.uuid4().hex, uuid.uuid4().hex
        question = MessageRecord(ids[0], self.record.id, "user", NOW, content, list(attachments))
        answer = MessageRecord(ids[1], self.record.id, "assistant", NOW, model=self.model, status="running")
        await self.conversation.add_messages(question, answer)
        context = await self.context(question, extra)
        asker = await self.models.asker(self.record.owner, self.record.id, self.model, tools=context.tools)
        session: Any = self.session
        turn = Turn(answer.id, asker, context, session, self.conversation, self.chat)
        ended = asyncio.Event()
        turn.start(ended.set)
        await ended.wait()
        self.results |= turn._results
        parts = turn._parts
        kept = MessageRecord(answer.id, self.record.id, "assistant", NOW, model=self.model, parts=list(parts))
        self.problem = turn.problem
        self.branch += [question, kept]
        return kept, [event async for _, event in turn.events.follow()]

    def told(self) -> list[dict[str, Any]]:
        """Return the messages of the last request of a turn."""
        messages: list[dict[str, Any]] = self.provider.requests[-1]["messages"]
        return messages


@asynccontextmanager
async def world(
    tmp_path: Path, provider: Provider, models: Sequence[str] = ("m",), **chat: Any
) -> AsyncIterator[World]:
    database = Database(f"sqlite:///{tmp_path / 'glovebox.sqlite'}")
    await database.open()
    record = await SessionStore(database).add("somebody", "a session", "standard")
    folder = SessionFolder(tmp_path / "session", os.getuid(), 2**30)
    folder.make()
    config = provider.config(*models, **chat)
    made = models_of(config, database, tmp_path)
    summaries = SummaryStore(database)
    contexts = Contexts(config.chat, made, summaries)
    session = PlayedSession(record.id, folder)
    async with played(provider):
        yield World(
            record, session, provider, made, contexts, ConversationStore(database), summaries, config.chat, database
        )
        await made.close()
    await database.close()
