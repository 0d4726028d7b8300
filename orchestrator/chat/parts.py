"""What an assistant's message is made of, as it is kept, and as the model reads it. No I/O.

A part is one of these, each with the `round` (which of the turn's model replies) that it belongs to:

    {"type": "text", "text", "reasoning"?}                      what the model said
    {"type": "cell", "call_id", "cell_id", "code", "notes"?}    a call that ran; the cell itself is a row of its own
    {"type": "rejected_call", "call_id", "name", "arguments", "reason", "code"?}
                                                                one that did not run; with `code` it was a valid one
    {"type": "look", "call_id", "path", "question", "answer"}   a call for which another model looked at a picture
    {"type": "waiting_call", "call_id", "code", "of"}           one that a person has not decided about; `of` is the
                                                                model's own id of it
    {"type": "notice", "code", "text"}                          what the person was told about the turn

`notes` are sentences that the model reads under the cell's result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.chat.completion import TOOL_NAME, ModelReply
from orchestrator.store.records import CellRecord, MessageRecord, with_its_cells

Part = dict[str, Any]

STOPPED = "Not run: the user stopped the turn before."
ENDED = "Not run: the turn ended before."
CUT_OFF = "It was begun, and the turn ended before its end was known."
UNDECIDED = "Not run: the turn ended before the user decided about it."
REFUSED = "Not run: the user refused to run this. Do not try it again; propose another way, or ask what is wanted."
EDITED = "The user changed this code before it ran; it is shown as it ran."
OWN = "The user wrote and ran this themselves."
ANOTHER_WAY = (
    "The same failed several times in a row. Do not try the same again: look at the data, or take quite another way."
)
_BY_STATUS = {
    "interrupted": "It was interrupted, by the user or because its turn was stopped. Do not simply run it again.",
    "timeout": "It ran into the time limit. Make it quicker, work on a part of the data, or split it into several.",
    "out_of_memory": "It needed more memory than the sandbox has. Work on parts of the data, or with smaller types.",
    "sandbox_lost": "The sandbox went away while it ran: variables are gone, files are kept.",
}


def text_part(reply: ModelReply, number: int) -> Part:
    """Return what the model said in a round, with what it thought aloud where it tells that."""
    reasoning = getattr(reply, "reasoning", "")
    return {"type": "text", "round": number, "text": reply.text} | ({"reasoning": reasoning} if reasoning else {})


def cell_part(cell: CellRecord, call_id: str, number: int, notes: Iterable[str] = ()) -> Part:
    """Return a call that ran."""
    told = [*notes, *([_BY_STATUS[cell.status]] if cell.status in _BY_STATUS else [])]
    part = {"type": "cell", "round": number, "call_id": call_id, "cell_id": cell.cell_id, "code": cell.code}
    return part | ({"notes": told} if told else {})


def not_run(call_id: str, number: int, code: str, reason: str) -> Part:
    """Return a valid call that did not run."""
    about = {"type": "rejected_call", "round": number, "call_id": call_id, "name": TOOL_NAME}
    return about | {"arguments": "", "reason": reason, "code": code}


def look(call_id: str, number: int, looked: Mapping[str, str]) -> Part:
    """Return a call for which another model looked at a picture: path, question and answer."""
    return {"type": "look", "round": number, "call_id": call_id, **looked}


def rejected(call_id: str, number: int, name: str, arguments: str, reason: str) -> Part:
    """Return a call that makes no sense."""
    about = {"type": "rejected_call", "round": number, "call_id": call_id}
    return about | {"name": name, "arguments": arguments, "reason": reason}


def told(parts: Sequence[Part], results: Mapping[str, str]) -> tuple[list[Part], dict[str, str]]:
    """Return parts and results as the model reads them: without notices, and with notes under what ran.

    Valid calls that did not run are told as cells, too, whose result says why.
    """
    shown: list[Part] = []
    known = dict(results)
    for part in parts:
        match part["type"]:
            case "cell":
                shown.append(part)
                if part.get("notes"):
                    lines = [known.get(part["cell_id"], "status: lost"), *(f"[{note}]" for note in part["notes"])]
                    known[part["cell_id"]] = "\n".join(lines)
            case "rejected_call" if "code" in part:
                shown.append(_as_cell(part, part["call_id"], part["reason"], known))
            case "waiting_call":
                shown.append(_as_cell(part, part["of"], UNDECIDED, known))
            case "notice":
                pass  # that is between the person and us
            case _:
                shown.append(part)
    return shown, known


def conversation_told(
    messages: Sequence[MessageRecord], cells: Sequence[CellRecord], results: Mapping[str, str]
) -> tuple[list[MessageRecord], dict[str, str]]:
    """Return a conversation and the results of its cells as the model reads them."""
    shown: list[MessageRecord] = []
    known = dict(results)
    for message in messages:
        parts, known = told(whole(message, cells), known)
        shown.append(replace(message, parts=parts))
    return shown, known


def whole(message: MessageRecord, cells: Sequence[CellRecord]) -> list[Part]:
    """Return a message's parts with the cells that a crash came before they were noted in it."""
    by_id = {cell.cell_id: cell for cell in cells}
    last = max((part["round"] for part in message.parts), default=0)
    found = []
    for part in with_its_cells(message, cells):
        cell = by_id.get(part["cell_id"]) if part["type"] == "cell" and "call_id" not in part else None
        found.append(part if cell is None else cell_part(cell, f"call_{cell.cell_id}", last))
    return found


def _as_cell(part: Part, call_id: str, reason: str, results: dict[str, str]) -> Part:
    never = f"not-run-{part['round']}-{call_id}"
    results[never] = f"status: not_run\n[{reason}]"
    return {"type": "cell", "round": part["round"], "call_id": call_id, "cell_id": never, "code": part["code"]}
