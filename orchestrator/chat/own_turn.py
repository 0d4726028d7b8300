"""A turn without a model: the user's own code runs as a cell of the conversation, and the model sees it next time."""

import uuid

from orchestrator.chat.parts import OWN, cell_part
from orchestrator.chat.running import RunningTurn
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.tracing import span


class OwnTurn(RunningTurn):
    """One cell of the user's."""

    def __init__(self, message_id: str, code: str, session: LiveSession, conversation: ConversationStore) -> None:
        super().__init__(message_id, session, conversation)
        self._code = code

    async def _work(self) -> None:
        with span("turn", session=self._session.id, model=""):
            cell, notes = await self._run_cell(self._code, 0)
            self._parts.append(cell_part(cell, f"call_{uuid.uuid4().hex}", 0, [OWN, *notes]))
