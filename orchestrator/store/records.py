"""What the store gives out: plain values, so that nobody outside knows of tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session: who owns it, what it may use, and how to reach its sandbox when that runs.

    `model` is None for the default one; `approval` is `auto`,
    or `ask` where each cell of the model waits for a click.
    """

    id: str
    owner: str
    name: str
    profile: str
    uid: int
    token: str
    kernel_id: str
    created_at: datetime
    last_active_at: datetime
    model: str | None = None
    approval: str = "auto"
    instructions: str = ""


# In the table only: the status of a cell that was told as interrupted, and has not ended in its kernel.
ENDING = "ending"


@dataclass(frozen=True, slots=True)
class CellRecord:
    """A cell that ran or runs. Its fields are the cell of docs/api.md."""

    cell_id: str
    session_id: str
    message_id: str | None
    code: str
    created_at: datetime
    status: str = "running"
    execution_count: int | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    duration_s: float = 0.0
    truncated: bool = False
    files: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message of a conversation. It hangs on the one with `parent_id`; those that hang on one message are branches.

    A user's has `content` and `attachments`; an assistant's has `parts` (see chat/parts.py), and no `model` where it is
    what the user's own code did.
    """

    id: str
    session_id: str
    role: str
    created_at: datetime
    content: str = ""
    attachments: list[str] = field(default_factory=list)
    model: str | None = None
    status: str = "done"
    parts: list[dict[str, Any]] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    parent_id: str | None = None


def with_its_cells(message: MessageRecord, cells: Iterable[CellRecord]) -> list[dict[str, Any]]:
    """Return a message's parts, with those of its cells that a running turn, or one that a crash cut off, left out."""
    named = {part.get("cell_id") for part in message.parts}
    left = [cell for cell in cells if cell.message_id == message.id and cell.cell_id not in named]
    return [*message.parts, *({"type": "cell", "cell_id": cell.cell_id} for cell in left)]
