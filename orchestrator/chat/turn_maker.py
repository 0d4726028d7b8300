"""Making the turn that answers a question: which model, what it is told, and who decides about its code."""

import asyncio
from collections.abc import Sequence

from orchestrator.chat.approvals import Approvals
from orchestrator.chat.context import Context
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.models import Models
from orchestrator.chat.own_code import own_code
from orchestrator.chat.own_turn import OwnTurn
from orchestrator.chat.parts import conversation_told
from orchestrator.chat.running import RunningTurn
from orchestrator.chat.tool_result import bounded_result
from orchestrator.chat.turn import Turn
from orchestrator.config import Chat as ChatConfig
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.store.settings import SettingsStore
from orchestrator.workspace.folder import FoundFile

ASK = "ask"


class TurnMaker:
    """Makes turns; nothing of them is stored or begun here."""

    def __init__(
        self,
        config: ChatConfig,
        models: Models,
        store: ConversationStore,
        settings: SettingsStore,
        contexts: Contexts,
    ) -> None:
        self._config = config
        self._models = models
        self._store = store
        self._settings = settings
        self._contexts = contexts

    async def pick(self, record: SessionRecord, wanted: str | None) -> str:
        """Return the model to ask: the one wanted now, else the session's, else its owner's default, else the config's.

        Raises:
            BadRequest: there is no such model.
            ModelUnavailable: it has no key.

        """
        if (named := wanted or record.model) is not None:
            return await self._models.pick(named, record.owner)
        theirs = (await self._settings.of(record.owner)).default_model
        usable = {model.id for model in await self._models.list(record.owner) if model.available}
        return await self._models.pick(theirs if theirs in usable else None, record.owner)

    async def make(
        self,
        record: SessionRecord,
        session: LiveSession,
        branch: Sequence[MessageRecord],
        answer: MessageRecord,
        files: Sequence[FoundFile],
    ) -> RunningTurn:
        """Return the turn that makes the answer to the last message of a branch."""
        code = own_code(branch[-1].content)
        if code is not None or answer.model is None:
            return OwnTurn(answer.id, code or "", session, self._store)
        context, results = await self._context(record, session, branch, answer, files, answer.model)
        return Turn(
            answer.id,
            await self._models.asker(record.owner, record.id, answer.model, tools=context.tools),
            context,
            session,
            self._store,
            self._config,
            Approvals(asks=record.approval == ASK),
            answer.parts,
            results,
        )

    async def _context(
        self,
        record: SessionRecord,
        session: LiveSession,
        branch: Sequence[MessageRecord],
        answer: MessageRecord,
        files: Sequence[FoundFile],
        model: str,
    ) -> tuple[Context, dict[str, str]]:
        """Return the context, and what is told of each cell of the branch and of the answer that is begun."""
        theirs = await self._settings.of(record.owner)
        extra = instructions(self._config.extra_instructions, theirs.instructions, record.instructions, theirs.language)
        ids = {message.id for message in branch}
        # An answer may have begun with what ran for another one.
        named = {part.get("cell_id") for message in (*branch, answer) for part in message.parts}
        found = await self._store.cells(record.id)
        cells = [cell for cell in found if cell.message_id in ids or cell.cell_id in named]
        plain = await asyncio.to_thread(self._results, cells)
        told, results = conversation_told(branch, cells, plain)
        return await self._contexts.make(session, model, told, cells, results, files, extra), plain

    def _results(self, cells: Sequence[CellRecord]) -> dict[str, str]:
        return {cell.cell_id: bounded_result(cell, self._config.tool_result_tokens) for cell in cells}


def instructions(admins: str, users: str, sessions: str, language: str | None = None) -> str:
    """Return all instructions as one text, from those for everybody to those for one conversation."""
    told = (
        admins,
        f"Where the user's message does not show its language, answer in {language}." if language else "",
        f"The user's own instructions:\n{users}" if users else "",
        f"The user's instructions for this conversation:\n{sessions}" if sessions else "",
    )
    return "\n\n".join(one for one in told if one)
