"""Chat in sessions: one turn at a time, kept in the database, followed from any point."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.chat.asking import Asker
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.models import Models
from orchestrator.chat.tokens import cut_middle
from orchestrator.chat.tool_result import tool_result
from orchestrator.chat.turn import Turn
from orchestrator.config import Chat as ChatConfig
from orchestrator.errors import BadRequest, Conflict
from orchestrator.events import EventLog, TurnStarted
from orchestrator.sessions.service import Sessions
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

NEW_SESSION_NAME = "New session"
_NAME_CHARS = 60


class Chat:
    """The chat service."""

    def __init__(
        self,
        config: ChatConfig,
        models: Models,
        sessions: Sessions,
        store: ConversationStore,
        contexts: Contexts,
        tell: Callable[[SessionRecord, dict[str, Any]], None],
    ) -> None:
        """`tell` is called with the problem of each turn that ended with one."""
        self._config = config
        self._models = models
        self._sessions = sessions
        self._store = store
        self._contexts = contexts
        self._tell = tell
        self._turns: dict[str, Turn] = {}
        self._beginning: set[str] = set()

    async def begin_turn(
        self,
        record: SessionRecord,
        session: LiveSession,
        content: str,
        attachments: list[str],
        model: str | None,
    ) -> EventLog:
        """Store the user's message, start the turn, and return its log.

        Raises:
            Conflict: a turn runs already; the message was not stored.
            BadRequest: an attachment is not in the workspace, or there is no such model.
            ModelUnavailable: the model has no key.

        """
        chosen = self._models.pick(model)
        if record.id in self._beginning or self._running(record.id) is not None:
            raise Conflict("The session is still answering; wait for it, or stop it.", code="turn_running")
        self._beginning.add(record.id)
        try:
            turn = await self._make_turn(record, session, content, attachments, chosen)
        finally:
            self._beginning.discard(record.id)
        self._turns[record.id] = turn
        turn.start(lambda: self._ended(record, turn))
        return turn.events

    def follow(self, session_id: str) -> EventLog | None:
        """Return the log of the turn that runs, if one does."""
        turn = self._running(session_id)
        return turn.events if turn is not None else None

    async def stop(self, session_id: str) -> None:
        """Stop the turn that runs, if one does."""
        turn = self._running(session_id)
        if turn is not None:
            await turn.stop()

    async def messages(self, session_id: str) -> list[tuple[MessageRecord, dict[str, CellRecord]]]:
        """Return the conversation: each message with the cells that its parts name."""
        messages = await self._store.messages(session_id)
        cells = {cell.cell_id: cell for cell in await self._store.cells(session_id)}
        return [(message, cells) for message in messages]

    async def close(self) -> None:
        """End all turns, so that each is written down as it is; their cells go on."""
        await asyncio.gather(*(turn.let_go() for turn in self._turns.values() if turn.running))

    def _ended(self, record: SessionRecord, turn: Turn) -> None:
        self._turns.pop(record.id, None)
        if turn.problem is not None:
            self._tell(record, turn.problem)

    def _running(self, session_id: str) -> Turn | None:
        turn = self._turns.get(session_id)
        return turn if turn is not None and turn.running else None

    async def _make_turn(
        self, record: SessionRecord, session: LiveSession, content: str, attachments: list[str], model: str
    ) -> Turn:
        folder = await session.files()
        files = await asyncio.to_thread(folder.list_files)
        missing = set(attachments) - {file.path for file in files}
        if missing:
            raise BadRequest(f"Not in the workspace: {', '.join(sorted(missing))[:300]}.", code="attachment_missing")
        now = datetime.now(UTC)
        question = MessageRecord(
            uuid.uuid4().hex, record.id, "user", now, content=content, attachments=attachments, model=model
        )
        answer = MessageRecord(uuid.uuid4().hex, record.id, "assistant", now, model=model, status="running")
        earlier = await self._store.messages(record.id)
        cells = await self._store.cells(record.id)
        results = await asyncio.to_thread(self._results, cells)
        await self._store.add_messages(question, answer)
        if record.name == NEW_SESSION_NAME:
            await self._sessions.rename(record, _name_from(content))
        extra = self._config.extra_instructions
        context = await self._contexts.make(session, model, [*earlier, question], cells, results, files, extra)
        turn = Turn(
            answer.id,
            Asker(model, self._models.client(model), self._models.price(model), context.tools),
            context,
            session,
            self._store,
            self._config,
        )
        turn.events.append(TurnStarted(uuid.uuid4().hex, question.id, answer.id, model))
        return turn

    def _results(self, cells: list[CellRecord]) -> dict[str, str]:
        return {cell.cell_id: cut_middle(tool_result(cell), self._config.tool_result_tokens) for cell in cells}


def _name_from(content: str) -> str:
    """Return a session's name made from its first question."""
    line = " ".join(content.split())
    return (line if len(line) <= _NAME_CHARS else line[: _NAME_CHARS - 1] + "…") or NEW_SESSION_NAME
