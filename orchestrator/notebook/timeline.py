"""A conversation in the order in which it is read: what every export is made from. No I/O."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.store.records import CellRecord, MessageRecord, with_its_cells

_FOR_THE_MODEL = re.compile(r"\[seen by [^\n]*\]\n")
_WORKSPACE_LINK = "sandbox:/mnt/data/"


@dataclass(frozen=True, slots=True)
class Question:
    """What the person said: Markdown, and the paths of what they attached."""

    text: str
    attachments: Sequence[str]


@dataclass(frozen=True, slots=True)
class Text:
    """What the model said, and what it thought before."""

    text: str
    reasoning: str


@dataclass(frozen=True, slots=True)
class Code:
    """A cell that ran or runs."""

    cell: CellRecord


@dataclass(frozen=True, slots=True)
class NotRun:
    """Code that did not run, and why: it waits for somebody to let it, or somebody did not."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that Glovebox says about the conversation."""

    text: str


Entry = Question | Text | Code | NotRun | Note


def timeline(messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> Iterator[Entry]:
    """Yield a conversation's entries; cells that were run without a message stand where they were run."""
    by_id = {cell.cell_id: cell for cell in cells}
    told: set[str] = set()
    items: list[MessageRecord | CellRecord] = [*messages, *(cell for cell in cells if cell.message_id is None)]
    for item in sorted(items, key=lambda one: one.created_at):
        if isinstance(item, MessageRecord):
            yield from _of_message(item, by_id, told)
        elif item.cell_id not in told:
            told.add(item.cell_id)
            yield Code(item)


def _of_message(message: MessageRecord, cells: dict[str, CellRecord], told: set[str]) -> Iterator[Entry]:
    if message.role == "user":
        yield Question(message.content, message.attachments)
        return
    for part in with_its_cells(message, cells.values()):
        entry = _of_part(part, cells)
        if entry is None or (isinstance(entry, Code) and entry.cell.cell_id in told):
            continue
        if isinstance(entry, Code):
            told.add(entry.cell.cell_id)
        yield entry
    if message.problem is not None:
        yield Note(str(message.problem.get("detail", "")))
    elif message.status == "stopped":
        yield Note("This answer was stopped.")
    elif message.status == "lost":
        yield Note("Glovebox was restarted in the middle of this answer.")


def _of_part(part: dict[str, Any], cells: dict[str, CellRecord]) -> Entry | None:
    match part["type"]:
        case "text":
            text = str(part.get("text") or "").replace(_WORKSPACE_LINK, "")
            reasoning = str(part.get("reasoning") or "")
            return Text(text, reasoning) if text or reasoning else None
        case "cell" if part["cell_id"] in cells:
            return Code(cells[part["cell_id"]])
        case "waiting_call":
            return NotRun(part["code"], "Not run yet.")
        case "look":
            answer = _FOR_THE_MODEL.sub("", part["answer"])
            return Note(f"Another model looked at {part['path']}. {part['question']} {answer}")
        case "notice":
            return Note(part["text"])
        case "rejected_call" if part.get("code"):
            return NotRun(part["code"], part["reason"])
        case "rejected_call":
            return Note(f"A call of {part['name']!r} made no sense: {part['reason']}")
    return None  # a cell that is gone, or a kind of part that is newer than this
