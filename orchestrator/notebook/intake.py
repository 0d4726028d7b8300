"""A notebook as a session's conversation: its texts and its cells with their outputs, none of which is run."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

from orchestrator.kernel.outputs import Outputs
from orchestrator.notebook.export import QUESTION_BEGINS
from orchestrator.notebook.reading import CodeCell, Notebook, TextCell
from orchestrator.sessions.spill import SpillFiles
from orchestrator.store.records import CellRecord, MessageRecord
from orchestrator.workspace.folder import SessionFolder

_NOT_RUN = (
    "What follows came with the notebook, questions and answers included. None of the cells below has been run in this "
    "session: what they computed is not in memory, and the files that they read have to be uploaded."
)


async def taken_in(
    notebook: Notebook, session_id: str, folder: SessionFolder
) -> tuple[list[MessageRecord], list[CellRecord]]:
    """Return the messages and cells that a notebook becomes; outputs that are too large go to files of the workspace.

    Raises:
        DiskFull: these have no room.

    """
    conversation = _Conversation(session_id, notebook)
    for cell in notebook.cells:
        if isinstance(cell, TextCell):
            conversation.add_text(cell)
        else:
            conversation.add_cell(await _record(cell, conversation.answer, folder))
    return conversation.messages, conversation.cells


class _Conversation:
    """What a notebook has become so far. Each question of a conversation that was exported begins a turn again."""

    def __init__(self, session_id: str, notebook: Notebook) -> None:
        self.messages: list[MessageRecord] = []
        self.cells: list[CellRecord] = []
        self._session_id = session_id
        self._at = datetime.now(UTC)
        self._round = 0
        named = f" “{notebook.title}”" if notebook.title else ""
        self._ask(f"I have imported the notebook{named}.")
        self._add({"type": "text", "text": _NOT_RUN})
        self._round += 1

    @property
    def answer(self) -> MessageRecord:
        """The message that is being added to."""
        return self.messages[-1]

    def add_text(self, cell: TextCell) -> None:
        """Add a text, or begin a turn with it."""
        if cell.role == "title":
            return
        if cell.role == "question":
            self._ask(cell.text.removeprefix(QUESTION_BEGINS))
        else:
            reasoning = {"reasoning": cell.reasoning} if cell.reasoning else {}
            # A line break between two texts of one round: they are read as one.
            self._add({"type": "text", "text": cell.text + "\n\n", **reasoning})

    def add_cell(self, cell: CellRecord) -> None:
        """Add a cell; what follows is a new round."""
        self.cells.append(cell)
        self._add({"type": "cell", "call_id": f"call_{cell.cell_id}", "cell_id": cell.cell_id, "code": cell.code})
        self._round += 1

    def _ask(self, content: str) -> None:
        self._round = 0
        question = MessageRecord(uuid.uuid4().hex, self._session_id, "user", self._at, content=content)
        answer = MessageRecord(uuid.uuid4().hex, self._session_id, "assistant", self._at)
        self.messages += [question, answer]

    def _add(self, part: dict[str, Any]) -> None:
        self.answer.parts.append({"round": self._round, **part})


async def _record(cell: CodeCell, answer: MessageRecord, folder: SessionFolder) -> CellRecord:
    cell_id = uuid.uuid4().hex
    spill = SpillFiles(folder, cell_id)
    outputs = Outputs(cell_id, spill)
    try:
        await asyncio.to_thread(_take, outputs, cell)
        await spill.finish()
        kept = outputs.finish()
    finally:
        await spill.discard()
    failed = any(output["output_type"] == "error" for output in kept)
    return CellRecord(
        cell_id,
        answer.session_id,
        answer.id,
        cell.code,
        answer.created_at,
        "error" if failed else "ok",
        cell.execution_count,
        kept,
        truncated=outputs.truncated,
    )


def _take(outputs: Outputs, cell: CodeCell) -> None:
    for message in cell.outputs:
        outputs.take(message)
