"""A turn as it happens: one event after the other changes the answer that is being written. Pure."""

from __future__ import annotations

from ui.conversation import JSON, Answer, Cell, Notice, Part, Text, finish_cell, looked, rejected
from ui.shown import Printed


def apply(answer: Answer, kind: str, data: JSON) -> None:  # noqa: C901  (one short case for each event)
    """Let one event happen to the answer. Kinds that are unknown here change nothing."""
    match kind:
        case "turn_started":
            answer.model = str(data.get("model") or "")
            answer.id = str(data.get("message_id") or answer.id)
        case "text_delta":
            _said(answer).text += str(data.get("text", ""))
        case "reasoning_delta":
            _thought(answer).reasoning += str(data.get("text", ""))
        case "reply_restarted":
            _take_back(answer)
        case "code_delta":
            _add_code(answer, str(data.get("call", "")), str(data.get("text", "")))
        case "approval_asked":
            _ask_approval(answer, str(data.get("call_id", "")), str(data.get("code", "")))
        case "approval_given":
            _take_approval(answer, data)
        case "usage":
            answer.usage = dict(data)
        case "sandbox_state":
            answer.sandbox_starts = data.get("state") in {"starting", "queued"}
            answer.queue_place = int(data["place"]) if data.get("state") == "queued" else None
        case "call_rejected":
            _drop_draft(answer)
            answer.parts.append(rejected(data))
        case "looked":
            answer.parts.append(looked(data))
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
            finish_cell(cell, data)
        case _:
            return


def _said(answer: Answer) -> Text:
    last = answer.parts[-1] if answer.parts else None
    if not isinstance(last, Text):
        answer.parts.append(last := Text(""))
    return last


def _thought(answer: Answer) -> Text:
    last = answer.parts[-1] if answer.parts else None
    if not isinstance(last, Text) or last.text:
        answer.parts.append(last := Text(""))
    return last


def _take_back(answer: Answer) -> None:
    """Drop what a reply that broke off had said: all behind the last cell that ran."""
    while answer.parts and (isinstance(last := answer.parts[-1], Text) or _is_draft(last)):
        answer.parts.pop()
    answer.drafts.clear()


def _is_draft(part: Part) -> bool:
    return isinstance(part, Cell) and part.status == "writing"


def _add_code(answer: Answer, call: str, text: str) -> None:
    draft = answer.drafts.get(call)
    if draft is None:
        draft = answer.drafts[call] = Cell("", "writing")
        answer.parts.append(draft)
    draft.code += text


def _ask_approval(answer: Answer, call_id: str, code: str) -> None:
    call = next((name for name, draft in answer.drafts.items() if draft.code == code), next(iter(answer.drafts), None))
    if call is None:
        answer.parts.append(cell := Cell(code, "waiting"))
    else:
        cell = answer.drafts.pop(call)
    cell.code, cell.status, cell.call_id = code, "waiting", call_id


def _take_approval(answer: Answer, data: JSON) -> None:
    call_id = str(data.get("call_id", ""))
    cell = next((part for part in answer.parts if isinstance(part, Cell) and part.call_id == call_id), None)
    if cell is None:
        return
    if data.get("decision") != "run":
        cell.status = "refused"
        return
    cell.code, cell.status = str(data.get("code") or cell.code), "writing"
    # First, so that it is this one that starts next.
    answer.drafts = {call_id: cell, **answer.drafts}


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


def _finish(answer: Answer, data: JSON) -> None:
    answer.status = str(data.get("status") or "done")
    answer.problem = data.get("problem")
    answer.sandbox_starts = False
    answer.drafts.clear()
    for part in answer.parts:
        if isinstance(part, Cell) and part.status in {"writing", "waiting"}:
            part.status = "not_run"
        elif isinstance(part, Cell) and part.status == "running":
            part.status = "interrupted"
