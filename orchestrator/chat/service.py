"""Chat in sessions: one turn at a time, kept in the database as a tree of messages, followed from any point."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.chat.approvals import Decision, nothing_waits
from orchestrator.chat.beginnings import Beginnings
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.models import Models
from orchestrator.chat.own_code import own_code
from orchestrator.chat.resuming import BROKEN_OFF, carried_over, shown_again
from orchestrator.chat.running import RunningTurn
from orchestrator.chat.turn_maker import ASK, TurnMaker
from orchestrator.config import Chat as ChatConfig
from orchestrator.errors import BadRequest, Conflict
from orchestrator.events import EventLog, TurnStarted
from orchestrator.sessions.service import Sessions
from orchestrator.sessions.session import LiveSession
from orchestrator.store.branches import Tree
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.store.settings import SettingsStore

NEW_SESSION_NAME = "New session"
_NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the branch that is shown, and the messages that stand at its place in other branches."""

    message: MessageRecord
    siblings: list[str]


class Chat:
    """The chat service."""

    def __init__(
        self,
        config: ChatConfig,
        models: Models,
        sessions: Sessions,
        store: ConversationStore,
        settings: SettingsStore,
        contexts: Contexts,
        tell: Callable[[SessionRecord, dict[str, Any]], None],
    ) -> None:
        """`tell` is called with the problem of each turn that ended with one."""
        self._maker = TurnMaker(config, models, store, settings, contexts)
        self._models = models
        self._sessions = sessions
        self._store = store
        self._tell = tell
        self.beginnings = Beginnings()
        self._turns: dict[str, RunningTurn] = {}
        self._busy: set[str] = set()  # sessions whose conversation is being changed right now
        self._stop_at_once: set[str] = set()

    async def begin_turn(
        self,
        record: SessionRecord,
        session: LiveSession,
        content: str,
        attachments: list[str],
        model: str | None,
        edits: str | None = None,
    ) -> EventLog:
        """Store the user's message, start the turn, and return its log.

        With `edits`, an earlier message of the user's, it stands in that one's place in a new branch. A message that is
        the user's own code is run, and no model is asked. A model that is named stays the session's.

        Raises:
            Conflict: a turn runs already; the message was not stored.
            BadRequest: an attachment is not in the workspace, there is no such model, or no code to run.
            ModelUnavailable: the model has no key.
            TooManyRequests: the owner has used up what they may use in a day.
            NotFound: there is no message to edit.

        """
        own = own_code(content) is not None
        with self._alone(record.id):
            chosen = None if own else await self._maker.pick(record, model)
            tree = await self._store.tree(record.id)
            before = tree.head if edits is None else _question(tree, edits).parent_id
            now = datetime.now(UTC)
            question = MessageRecord(
                uuid.uuid4().hex, record.id, "user", now, content, attachments, chosen, parent_id=before
            )
            if record.name == NEW_SESSION_NAME and not own:
                await self._sessions.change(record, {"name": _name_from(content)})
            if model and chosen:
                await self._sessions.change(record, {"model": chosen})
            return await self._begin(record, session, [*tree.up_to(before), question], chosen, is_new=True)

    async def begin_again(
        self,
        record: SessionRecord,
        session: LiveSession,
        message_id: str,
        model: str | None,
        *,
        resume: bool = False,
    ) -> EventLog:
        """Start another answer to a question, which the question or one of its answers names; return the turn's log.

        With `resume` it goes on where the answer that is named broke off: what ran is not run again.

        Raises:
            Conflict: a turn runs already, or a cell of the answer that broke off.
            BadRequest: there is no such model, or nothing broke off there.
            ModelUnavailable: the model has no key.
            NotFound: there is no such message.

        """
        with self._alone(record.id):
            tree = await self._store.tree(record.id)
            question = _question(tree, tree.question_of(message_id).id)
            broken_off = _broken_off(tree.message(message_id)) if resume else None
            chosen = None if own_code(question.content) is not None else await self._maker.pick(record, model)
            if model and chosen:
                await self._sessions.change(record, {"model": chosen})
            begun = None if chosen is None else broken_off
            return await self._begin(record, session, tree.up_to(question.id), chosen, is_new=False, begun=begun)

    async def _begin(
        self,
        record: SessionRecord,
        session: LiveSession,
        branch: list[MessageRecord],
        model: str | None,
        *,
        is_new: bool,
        begun: MessageRecord | None = None,
    ) -> EventLog:
        """Begin to answer the last message of a branch, which is stored with the answer where it is new.

        The answer goes on from the one that was `begun`, if any was.
        """
        question = branch[-1]
        folder = await session.files()
        files = await asyncio.to_thread(folder.list_files)
        missing = set(question.attachments) - {file.path for file in files}
        if missing and is_new:
            raise BadRequest(f"Not in the workspace: {', '.join(sorted(missing))[:300]}.", code="attachment_missing")
        cells = {} if begun is None else await self._cells_of_broken_off(begun)
        answer = MessageRecord(
            uuid.uuid4().hex,
            record.id,
            "assistant",
            datetime.now(UTC),
            model=model,
            status="running",
            parts=[] if begun is None else carried_over(begun, list(cells.values())),
            parent_id=question.id,
        )
        turn = await self._maker.make(record, session, branch, answer, files)
        await self._store.add_messages(*([question] if is_new else []), answer)
        turn.events.append(TurnStarted(uuid.uuid4().hex, question.id, answer.id, model))
        for event in shown_again(answer.parts, cells):
            turn.events.append(event)
        self._turns[record.id] = turn
        turn.start(lambda: self._ended(record, turn))
        self.beginnings.tell(record.id, turn.events)
        if record.id in self._stop_at_once:
            await turn.stop()
        return turn.events

    async def _cells_of_broken_off(self, answer: MessageRecord) -> dict[str, CellRecord]:
        """Return the session's cells by their ids. Raises Conflict where the answer's own cell still runs."""
        cells = {cell.cell_id: cell for cell in await self._store.cells(answer.session_id)}
        if any(cell.message_id == answer.id and cell.status == "running" for cell in cells.values()):
            raise Conflict("A cell of that answer still runs; wait for it, or interrupt it.", code="cell_running")
        return cells

    def follow(self, session_id: str) -> EventLog | None:
        """Return the log of the turn that runs, if one does."""
        turn = self._running(session_id)
        return turn.events if turn is not None else None

    async def stop(self, session_id: str) -> bool:
        """Stop the turn that runs, or is just being begun; tell whether there is one."""
        turn = self._running(session_id)
        if turn is not None:
            await turn.stop()
        elif session_id in self._busy:
            self._stop_at_once.add(session_id)
        else:
            return False
        return True

    def decide(self, session_id: str, call_id: str, decision: Decision) -> None:
        """Decide about a call that waits. Raises NotFound where none waits under that name."""
        turn = self._running(session_id)
        if turn is None:
            raise nothing_waits()
        turn.approvals.give(call_id, decision)

    async def change(self, record: SessionRecord, changes: dict[str, str | None]) -> None:
        """Set some of a session's `name`, `model`, `approval` and `instructions`.

        Approval holds from the next cell on, also of a turn that runs.

        Raises:
            BadRequest: there is no such model.
            ModelUnavailable: the model has no key.

        """
        if changes.get("model") is not None:
            await self._models.pick(changes["model"], record.owner)
        await self._sessions.change(record, changes)
        turn = self._running(record.id)
        if turn is not None and "approval" in changes:
            turn.approvals.asks = changes["approval"] == ASK

    async def show(self, session_id: str, message_id: str) -> None:
        """Show the youngest branch with a message. Raises Conflict while a turn runs, NotFound for no message."""
        with self._alone(session_id):
            await self._store.show(session_id, message_id)

    async def delete_turn(self, session_id: str, message_id: str) -> None:
        """Delete a question with its answers. Raises Conflict while a turn runs, NotFound for no message."""
        with self._alone(session_id):
            await self._store.delete_turn(session_id, message_id)

    async def messages(self, session_id: str) -> tuple[list[Shown], dict[str, CellRecord]]:
        """Return the branch that is shown, and all cells by their ids."""
        tree = await self._store.tree(session_id)
        cells = {cell.cell_id: cell for cell in await self._store.cells(session_id)}
        return [Shown(message, tree.siblings(message)) for message in tree.shown()], cells

    async def close(self) -> None:
        """End all turns, so that each is written down as it is; their cells go on."""
        await asyncio.gather(*(turn.let_go() for turn in self._turns.values() if turn.running))

    def _ended(self, record: SessionRecord, turn: RunningTurn) -> None:
        if self._turns.get(record.id) is turn:  # else the next one has begun
            del self._turns[record.id]
        if turn.problem is not None:
            self._tell(record, turn.problem)

    def _running(self, session_id: str) -> RunningTurn | None:
        turn = self._turns.get(session_id)
        return turn if turn is not None and turn.running else None

    @contextmanager
    def _alone(self, session_id: str) -> Iterator[None]:
        """Change a conversation with nobody else at it, and no turn running in it."""
        if session_id in self._busy or self._running(session_id) is not None:
            raise Conflict("The session is still answering; wait for it, or stop it.", code="turn_running")
        self._busy.add(session_id)
        try:
            yield
        finally:
            self._busy.discard(session_id)
            self._stop_at_once.discard(session_id)


def _question(tree: Tree[MessageRecord], message_id: str) -> MessageRecord:
    message = tree.message(message_id)
    if message.role != "user":
        raise BadRequest("That message is no question: only what the user said can be edited.", code="not_a_question")
    return message


def _broken_off(message: MessageRecord) -> MessageRecord:
    if message.role == "user" or message.status not in BROKEN_OFF:
        raise BadRequest("That is no answer that broke off: there is nothing to go on with.", code="nothing_to_resume")
    return message


def _name_from(content: str) -> str:
    """Return a session's name made from its first question."""
    line = " ".join(content.split())
    return (line if len(line) <= _NAME_CHARS else line[: _NAME_CHARS - 1] + "…") or NEW_SESSION_NAME
