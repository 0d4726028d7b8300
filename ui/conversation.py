"""The conversation as the page shows it: stored messages and live events, folded into one view model. Pure.

Outputs come here after intake: `output` and `outputs` hold what is shown of them, no longer nbformat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ui.shown import Printed, Shown

JSON = Mapping[str, Any]


@dataclass(slots=True)
class Text:
    """Something that the model said."""

    text: str


@dataclass(slots=True)
class Cell:
    """One cell; its status is one of the API's, or `writing` before it runs, or `not_run` when it never did."""

    code: str
    status: str
    cell_id: str = ""
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


Part = Text | Cell | Rejected | Notice


@dataclass(slots=True)
class Question:
    """What the user said."""

    content: str
    attachments: list[str]


@dataclass(slots=True)
class Answer:
    """What the model answered, or answers just now."""

    model: str = ""
    status: str = "running"
    parts: list[Part] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    sandbox_starts: bool = False
    queue_place: int | None = None
    # Cells that are being written, by the call that writes them.
    drafts: dict[str, Cell] = field(default_factory=dict)


Message = Question | Answer


def from_messages(messages: Iterable[JSON]) -> list[Message]:
    """Read the API's messages. An answer that runs is left out: its events tell it from the beginning."""
    read: list[Message] = []
    for message in messages:
        if message.get("role") == "user":
            read.append(Question(str(message.get("content") or ""), _names(message.get("attachments"))))
        elif message.get("status") != "running":
            parts = [part for raw in message.get("parts") or [] if (part := _part(raw))]
            read.append(
                Answer(str(message.get("model") or ""), str(message.get("status")), parts, message.get("problem"))
            )
    return read


def is_running(messages: Iterable[JSON]) -> bool:
    """Tell whether a turn runs, as far as the stored messages know."""
    return any(message.get("role") == "assistant" and message.get("status") == "running" for message in messages)


def apply(answer: Answer, kind: str, data: JSON) -> None:
    """Let one event happen to the answer. Kinds that are unknown here change nothing."""
    match kind:
        case "turn_started":
            answer.model = str(data.get("model") or "")
        case "text_delta":
            _add_text(answer, str(data.get("text", "")))
        case "code_delta":
            _add_code(answer, str(data.get("call", "")), str(data.get("text", "")))
        case "sandbox_state":
            answer.sandbox_starts = data.get("state") in {"starting", "queued"}
            answer.queue_place = int(data["place"]) if data.get("state") == "queued" else None
        case "call_rejected":
            _drop_draft(answer)
            answer.parts.append(Rejected(str(data.get("name") or "?"), str(data.get("reason", ""))))
        case "notice":
            answer.parts.append(Notice(str(data.get("text", ""))))
        case "turn_finished":
            _finish(answer, data)
        case _:
            _apply_to_cell(answer, kind, data)


def _apply_to_cell(answer: Answer, kind: str, data: JSON) -> None:
    if kind == "cell_started":
        answer.sandbox_starts = False
        _start_cell(answer, data)
        return
    cell = _cell(answer, str(data.get("cell_id", "")))
    if cell is None:
        return
    match kind:
        case "stream":
            _print(cell, str(data.get("name", "stdout")), str(data.get("text", "")))
        case "output":
            cell.outputs.append(data["output"])
        case "output_updated":
            index = data.get("index")
            if isinstance(index, int) and 0 <= index < len(cell.outputs):
                cell.outputs[index] = data["output"]
        case "outputs_cleared":
            cell.outputs.clear()
        case "cell_notice":
            cell.notices.append(str(data.get("text", "")))
        case "cell_finished":
            _finish_cell(cell, data)
        case _:
            return


def _part(raw: JSON) -> Part | None:
    match raw.get("type"):
        case "text":
            return Text(str(raw.get("text", "")))
        case "cell":
            cell = Cell("", "running", str(raw.get("cell_id", "")))
            _finish_cell(cell, raw)
            return cell
        case "rejected_call":
            return Rejected(str(raw.get("name") or "?"), str(raw.get("reason", "")))
        case "notice":
            return Notice(str(raw.get("text", "")))
        case _:
            return None


def _names(attachments: Any) -> list[str]:
    found = attachments if isinstance(attachments, list) else []
    return [str(each.get("path", "")) if isinstance(each, Mapping) else str(each) for each in found]


def _add_text(answer: Answer, text: str) -> None:
    last = answer.parts[-1] if answer.parts else None
    if isinstance(last, Text):
        last.text += text
    else:
        answer.parts.append(Text(text))


def _add_code(answer: Answer, call: str, text: str) -> None:
    draft = answer.drafts.get(call)
    if draft is None:
        draft = answer.drafts[call] = Cell("", "writing")
        answer.parts.append(draft)
    draft.code += text


def _start_cell(answer: Answer, data: JSON) -> None:
    code, cell_id = str(data.get("code", "")), str(data.get("cell_id", ""))
    # The event does not say which call it was: cells run in the order in which they were written.
    call = next((name for name, draft in answer.drafts.items() if draft.code == code), next(iter(answer.drafts), None))
    if call is None:
        answer.parts.append(Cell(code, "running", cell_id))
        return
    cell = answer.drafts.pop(call)
    cell.code, cell.status, cell.cell_id = code, "running", cell_id


def _drop_draft(answer: Answer) -> None:
    call = next(iter(answer.drafts), None)
    if call is not None:
        draft = answer.drafts.pop(call)
        answer.parts = [part for part in answer.parts if part is not draft]


def _cell(answer: Answer, cell_id: str) -> Cell | None:
    cells = (part for part in reversed(answer.parts) if isinstance(part, Cell) and part.cell_id == cell_id)
    return next(cells, None)


def _print(cell: Cell, name: str, text: str) -> None:
    last = cell.outputs[-1] if cell.outputs else None
    if isinstance(last, Printed) and last.name == name:
        last.text += text
    else:
        cell.outputs.append(Printed(name, text))


def _finish_cell(cell: Cell, data: JSON) -> None:
    cell.code = str(data.get("code", cell.code))
    cell.status = str(data.get("status") or "ok")
    cell.outputs = list(data.get("outputs") or [])
    cell.duration_s = data.get("duration_s")
    cell.truncated = bool(data.get("truncated"))
    cell.files = [dict(change) for change in data.get("files") or []]


def _finish(answer: Answer, data: JSON) -> None:
    answer.status = str(data.get("status") or "done")
    answer.problem = data.get("problem")
    answer.sandbox_starts = False
    answer.drafts.clear()
    for part in answer.parts:
        if isinstance(part, Cell) and part.status == "writing":
            part.status = "not_run"
        elif isinstance(part, Cell) and part.status == "running":
            part.status = "interrupted"
