"""An answer that goes on where another one broke off: what of that one counts, and how it is shown again. No I/O."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.chat.parts import UNDECIDED, Part, not_run, whole
from orchestrator.events import CallRejected, CellStarted, Event, Looked, Notice, ReasoningDelta, TextDelta
from orchestrator.sessions.ending import finished_event
from orchestrator.store.records import CellRecord, MessageRecord

BROKEN_OFF = ("failed", "stopped", "lost")
_CALLS = ("cell", "rejected_call", "look")


def carried_over(answer: MessageRecord, cells: Sequence[CellRecord]) -> list[Part]:
    """Return the parts of an answer that the one after it begins with.

    A reply that had called nothing yet is asked for anew, and what was told of how the answer ended is of no use.
    """
    kept = [_decided(part) for part in whole(answer, cells)]
    last = max((part["round"] for part in kept), default=0)
    kept = [part for part in kept if part["type"] != "notice" or part["round"] < last]
    if not any(part["round"] == last and part["type"] in _CALLS for part in kept):
        kept = [part for part in kept if part["round"] < last]
    return kept


def shown_again(parts: Sequence[Part], cells: Mapping[str, CellRecord]) -> Iterator[Event]:
    """Yield the events by which whoever follows a turn sees the parts that it began with."""
    for part in parts:
        match part["type"]:
            case "text":
                if part.get("reasoning"):
                    yield ReasoningDelta(part["reasoning"])
                if part["text"]:
                    yield TextDelta(part["text"])
            case "cell" if (cell := cells.get(part["cell_id"])) is not None:
                yield CellStarted(cell.cell_id, cell.code)
                if cell.status != "running":
                    yield finished_event(cell)
            case "rejected_call":
                yield CallRejected(part["name"], part["reason"], part.get("code"))
            case "look":
                yield Looked(part["path"], part["question"], part["answer"])
            case "notice":
                yield Notice(part["code"], part["text"])


def _decided(part: Part) -> Part:
    """Return a call that waited for a person as one that did not run: nobody can decide about it any more."""
    if part["type"] != "waiting_call":
        return part
    return not_run(part["of"], part["round"], part["code"], UNDECIDED)
