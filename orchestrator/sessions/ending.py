"""How a cell ends, decided from what its kernel said, and what is told of it. No I/O."""

from dataclasses import dataclass, replace
from typing import Any

from orchestrator.events import CellFinished
from orchestrator.kernel.connection import Lost
from orchestrator.kernel.messages import Failure, Message, Reply, State
from orchestrator.limits import INTERRUPT_GRACE_S
from orchestrator.store.records import CellRecord
from orchestrator.workspace.folder import FoundFile

# An interrupt reaches a cell that awaits something as the cancelling of that.
_INTERRUPTED_BY = ("KeyboardInterrupt", "CancelledError")
_DEAF = "The cell did not heed the interrupt, so its kernel was ended."
_LOST = "Variables are lost, files are kept."
KERNEL_ENDED = f"The cell before did not heed its interrupt, so the kernel was ended. {_LOST}"
KERNEL_ENDING = "kernel_ending"  # the code of a notice that is of no interest later
WAITS_FOR_KERNEL = (
    f"The cell before still runs, though it was interrupted. Within {INTERRUPT_GRACE_S:g} s it ends, or the kernel is "
    "ended; this waits for that."
)


def error_output(name: str, text: str) -> dict[str, Any]:
    """Return an error output of our own making."""
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}


_STILL_RUNS = error_output(
    "Interrupted",
    f"The cell has not ended yet. If it does not heed the interrupt within {INTERRUPT_GRACE_S:g} s, its kernel is "
    "ended: variables are lost then, files are kept.",
)


@dataclass(slots=True)
class CellProgress:
    """What the kernel has said so far about a cell. It is done with a reply and an idle, in any order."""

    reply: Reply | None = None
    idle: bool = False
    lost: Lost | None = None
    raised: str | None = None
    interrupted: bool = False
    timed_out: bool = False
    disk_full: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.lost is not None or (self.reply is not None and self.idle)

    def take(self, message: Message | Lost) -> None:
        """Note a message that says how far the cell is."""
        match message:
            case Reply():
                self.reply = message
            case State(execution_state="idle"):
                self.idle = True
            case Failure(ename=ename):
                self.raised = ename
            case Lost():
                self.lost = message

    @property
    def kernel_lives(self) -> bool:
        """Whether the variables are still there, as far as is known."""
        return self.reply is not None if self.lost is None else self.lost.variables_kept

    def status(self, *, out_of_memory: bool) -> str:
        """Return the status that the cell ends with."""
        if self.disk_full:
            return "error"
        if self.timed_out:
            return "timeout"
        if self.reply is None:
            if self.interrupted:
                return "interrupted"
            return "out_of_memory" if out_of_memory else "sandbox_lost"
        if self.lost is not None:
            return "error"  # it ended, but some of what it put out never came
        if self.interrupted and (self.raised in _INTERRUPTED_BY or self.reply.status == "aborted"):
            return "interrupted"
        return "ok" if self.reply.status == "ok" else "error"


def ending(progress: CellProgress, status: str, timeout_s: float) -> tuple[str, str] | None:
    """Return name and text of the error that tells why a cell ended that did not end by itself."""
    kernel_gone = not progress.kernel_lives
    lost = f" {_LOST if kernel_gone else 'Variables and files are kept.'}"
    if progress.disk_full:
        return "DiskFull", f"The workspace is over its disk limit, so the cell was ended. Delete files to go on.{lost}"
    match status:
        case "timeout":
            return "CellTimeout", f"The cell was stopped after its limit of {timeout_s:g} s.{lost}"
        case "interrupted" if kernel_gone:
            return "Interrupted", f"{_DEAF}{lost}"
        case "out_of_memory":
            return "OutOfMemory", f"The sandbox ran out of memory.{lost}"
        case "sandbox_lost":
            reason = progress.lost.reason if progress.lost else "The kernel did not answer."
            return "SandboxLost", f"{reason}{lost}"
    if progress.lost is not None:
        return "OutputLost", f"{progress.lost.reason}{lost}"
    return None


def left(cell: CellRecord, outputs: list[dict[str, Any]], duration_s: float) -> CellRecord:
    """Return a cell as it is told when it was stopped and goes on: it may still heed that, or lose its kernel."""
    return replace(cell, status="interrupted", outputs=[*outputs, _STILL_RUNS], duration_s=round(duration_s, 4))


def without_note(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs without the note that `left` gave them."""
    return outputs[:-1] if outputs and outputs[-1] == _STILL_RUNS else outputs


def late(cell: CellRecord, late_s: float) -> CellRecord:
    """Return a cell that kept its kernel, and ended so many seconds after its interrupt, when it had been told."""
    if cell.status == "ok":
        return cell
    note = error_output("Interrupted", f"It took the cell {late_s:.1f} s to end. Variables and files are kept.")
    return replace(cell, outputs=[*cell.outputs, note])


def never_ended(cell: CellRecord) -> CellRecord:
    """Return a cell that was told as interrupted, and whose sandbox went away before it ended."""
    note = error_output("Interrupted", f"The sandbox ended before the cell did. {_LOST}")
    return replace(cell, status="interrupted", outputs=[*without_note(cell.outputs), note])


def joined(earlier: list[dict[str, Any]], later: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all outputs; text that was cut in two where one process ended and the next began is one again."""
    if not earlier:
        return later
    if later and "stream" == earlier[-1]["output_type"] == later[0]["output_type"]:
        last, first = earlier[-1], later[0]
        if last["name"] == first["name"]:
            return [*earlier[:-1], {**last, "text": last["text"] + first["text"]}, *later[1:]]
    return [*earlier, *later]


def changes(before: dict[str, FoundFile], after: dict[str, FoundFile]) -> list[dict[str, Any]]:
    """Return the files that are new or other than before, as the API lists them."""
    return [
        {"path": path, "size": file.size, "change": "changed" if path in before else "created"}
        for path, file in sorted(after.items())
        if before.get(path) != file
    ]


def finished_event(cell: CellRecord) -> CellFinished:
    """Return the event that tells a cell's end."""
    return CellFinished(
        cell_id=cell.cell_id,
        code=cell.code,
        execution_count=cell.execution_count,
        status=cell.status,
        outputs=cell.outputs,
        duration_s=cell.duration_s,
        truncated=cell.truncated,
        files=cell.files,
    )
