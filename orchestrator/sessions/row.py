"""A running cell in the database, for whoever looks meanwhile, and for the process that comes after this one.

A cell that somebody watches is added when it begins. One whose caller only waits for its end is added when it has run
for a moment: most end within it, and are stored once, with their end. A process that is killed in that moment leaves
no trace of a cell of which nobody was told anything.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orchestrator.errors import DatabaseUnavailable, SessionNotFound
from orchestrator.limits import CELL_UNSTORED_S, KEEP_OUTPUTS_S
from orchestrator.sessions.later import Later
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord


class CellRow:
    """The row of one cell while the cell runs."""

    def __init__(
        self,
        conversation: ConversationStore,
        cell: CellRecord,
        outputs_so_far: Callable[[], list[dict[str, Any]]],
        *,
        is_watched: bool,
    ) -> None:
        self._conversation = conversation
        self._cell = cell
        self._outputs_so_far = outputs_so_far
        self._keeping = Later(0 if is_watched else CELL_UNSTORED_S, self._keep, f"row of {cell.cell_id}")

    def close(self) -> None:
        """Leave the row to whoever stores the cell's end."""
        self._keeping.stop()

    async def leave_open(self) -> None:
        """Store the cell as it is: it goes on, and the next process hears it out."""
        await self._keeping.stopped()
        await self._conversation.begin_cell(self._cell)
        await self._conversation.save_outputs(self._cell.cell_id, self._outputs_so_far())

    async def abandon(self) -> None:
        """Take back a cell that never ran."""
        await self._keeping.stopped()
        if self._keeping.begun:
            await self._conversation.abandon_cell(self._cell.cell_id)

    async def _keep(self) -> None:
        """Add the row, and store what the cell has put out now and then: it may be all that the next process has."""
        kept = self._outputs_so_far()
        try:
            await self._conversation.begin_cell(self._cell)
        except (SessionNotFound, DatabaseUnavailable):
            return  # whoever stores the end hears of it
        pause_s = KEEP_OUTPUTS_S
        while True:
            await asyncio.sleep(pause_s)
            if kept != (outputs := self._outputs_so_far()):
                began = time.monotonic()
                with suppress(DatabaseUnavailable):  # it is tried again, with what has come by then
                    await self._conversation.save_outputs(self._cell.cell_id, outputs)
                    kept = outputs
                pause_s = max(KEEP_OUTPUTS_S, 20 * (time.monotonic() - began))  # long ones are stored less often
