"""The conversation as the page shows it: stored messages as a view model, which applying.py lets events change. Pure.

Outputs come here after intake: `output` and `outputs` hold what is shown of them, no longer nbformat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ui import words
from ui.shown import Shown

JSON = Mapping[str, Any]
_REFUSED = "Not run: the user refused"
_FOR_THE_MODEL = re.compile(r"\[seen by [^\n]*\]\n")


@dataclass(slots=True)
class Text:
    """Something that the model said, and what it thought before."""

    text: str
    reasoning: str = ""


@dataclass(slots=True)
class Cell:
    """One cell; its status is one of the API's, or one of the page's own.

    Those are: `writing` before it runs, `waiting` for an approval, `refused`, `not_run` when it never did.
    """

    code: str
    status: str
    cell_id: str = ""
    call_id: str = ""
    execution_count: int | None = None
    outputs: list[Shown] = field(default_factory=list)
    duration_s: float | None = None
    truncated: bool = False
    files: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Rejected:
    """A call of the model that made no sense."""

    name: str
    reason: str


@dataclass(slots=True)
class Notice:
    """Something that the service has to say about the turn."""

    text: str
    tone: str = "warning"


Part = Text | Cell | Rejected | Notice


@dataclass(slots=True)
class Question:
    """What the user said."""

    content: str
    attachments: list[str]
    id: str = ""
    siblings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """What the model answered, or answers just now."""

    id: str = ""
    siblings: list[str] = field(default_factory=list)
    model: str = ""
    status: str = "running"
    parts: list[Part] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    sandbox_starts: bool = False
    queue_place: int | None = None
    # What the last `usage` event told.
    usage: dict[str, Any] | None = None
    # Cells that are being written, by the call that writes them.
    drafts: dict[str, Cell] = field(default_factory=dict)


Message = Question | Answer


def from_messages(messages: Iterable[JSON]) -> list[Message]:
    """Read the API's messages. An answer that runs comes without its parts: its events tell them from the beginning."""
    read: list[Message] = []
    for message in messages:
        identity, siblings = str(message.get("id") or ""), [str(each) for each in message.get("siblings") or []]
        if message.get("role") == "user":
            content = str(message.get("content") or "")
            read.append(Question(content, _names(message.get("attachments")), identity, siblings))
            continue
        answer = Answer(identity, siblings, str(message.get("model") or ""), str(message.get("status") or "done"))
        if answer.status != "running":
            answer.parts = [part for raw in message.get("parts") or [] if (part := _part(raw))]
            answer.problem = message.get("problem")
        read.append(answer)
    return read


def running_answer(messages: list[Message]) -> Answer | None:
    """Return the answer that is being written, if one is."""
    last = messages[-1] if messages else None
    return last if isinstance(last, Answer) and last.status == "running" else None


def files_of(messages: Iterable[Message]) -> frozenset[str]:
    """Return the names of the files that came with a question, or that a cell made or changed."""
    found: set[str] = set()
    for message in messages:
        if isinstance(message, Question):
            found.update(message.attachments)
        else:
            cells = (part for part in message.parts if isinstance(part, Cell))
            found.update(str(change.get("path", "")) for cell in cells for change in cell.files)
    return frozenset(found - {""})


def _part(raw: JSON) -> Part | None:
    match raw.get("type"):
        case "text":
            return Text(str(raw.get("text") or ""), str(raw.get("reasoning") or ""))
        case "waiting_call":
            return Cell(str(raw.get("code", "")), "not_run", call_id=str(raw.get("call_id", "")))
        case "cell":
            cell = Cell("", "running", str(raw.get("cell_id", "")))
            finish_cell(cell, raw)
            return cell
        case "rejected_call":
            return rejected(raw)
        case "notice":
            return Notice(str(raw.get("text", "")))
        case "look":
            return looked(raw)
        case _:
            return None


def rejected(data: JSON) -> Rejected | Cell:
    """Return a call that was not taken; one with code was a valid one, and did not run."""
    reason = str(data.get("reason") or "")
    if code := data.get("code"):
        return Cell(str(code), "refused" if reason.startswith(_REFUSED) else "not_run")
    return Rejected(str(data.get("name") or "?"), reason)


def looked(data: JSON) -> Notice:
    """Return what is shown of a look that another model took at a picture."""
    told = {name: str(data.get(name) or "") for name in ("path", "question", "answer")}
    told["answer"] = _FOR_THE_MODEL.sub("", told["answer"])
    return Notice(words.LOOKED.format(**told), "info")


def _names(attachments: Any) -> list[str]:
    found = attachments if isinstance(attachments, list) else []
    return [str(each.get("path", "")) if isinstance(each, Mapping) else str(each) for each in found]


def finish_cell(cell: Cell, data: JSON) -> None:
    """Take over what is known of a cell when it has ended."""
    cell.code = str(data.get("code", cell.code))
    cell.status = str(data.get("status") or "ok")
    cell.outputs = list(data.get("outputs") or [])
    cell.duration_s = data.get("duration_s")
    count = data.get("execution_count")
    cell.execution_count = count if isinstance(count, int) else None
    cell.truncated = bool(data.get("truncated"))
    cell.files = [dict(change) for change in data.get("files") or []]
