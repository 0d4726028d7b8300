"""A cell's outputs, gathered from typed messages and bounded: the contract of docs/api.md, without any I/O.

`Outputs.take(message)` returns the events that watchers see and keeps what the cell will be stored with. Printed text
above the head's limit goes on into a `TextStore` (the spill file), of which only the tail is kept in memory.
"""

import json
from base64 import b64decode
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.events import CellNotice, Event, OutputAdded, OutputsCleared, OutputUpdated, StreamText
from orchestrator.kernel.messages import Clear, Display, Failure, Stream
from orchestrator.limits import (
    LIVE_BYTES_PER_CELL,
    MIB,
    OUTPUTS_PER_CELL,
    RICH_BYTES_PER_CELL,
    RICH_OUTPUT_BYTES,
    RICH_OUTPUTS_PER_CELL,
    STREAM_HEAD_BYTES,
    STREAM_TAIL_BYTES,
)

Output = dict[str, Any]
_BASE64_TYPES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
}
_FILE_ENDINGS = _BASE64_TYPES | {"text/html": "html", "image/svg+xml": "svg"}
_EVENT_BYTES = 100


class Overflow(Protocol):
    """Where output goes that is too long to keep: files of the workspace."""

    def add_text(self, stream: str, text: str) -> str:
        """Take printed text (the whole of it, from the beginning); return the workspace path of the file."""

    def add_file(self, ending: str, content: bytes) -> str:
        """Take one output that is too large; return the workspace path of the file."""


@dataclass
class _Printed:
    """One of a cell's two printed streams: its head, and beyond that its tail and what was counted between."""

    output: Output
    head_size: int = 0
    path: str | None = None
    tail: deque[bytes] = field(default_factory=deque)
    tail_size: int = 0
    cut_size: int = 0
    cut_lines: int = 0

    def keep_tail(self, text: str) -> None:
        self.tail.append(text.encode())
        self.tail_size += len(self.tail[-1])
        while self.tail_size - len(self.tail[0]) >= STREAM_TAIL_BYTES:
            self.tail_size -= len(self.tail[0])
            self._cut(self.tail.popleft())

    def clear(self, head: str) -> None:
        """Count all that was kept as cut; what is printed from now on stands alone."""
        self._cut(head.encode())
        self._cut(b"".join(self.tail))
        self.tail.clear()
        self.tail_size = 0
        self.output = {**self.output, "text": ""}

    def _cut(self, data: bytes) -> None:
        self.cut_size += len(data)
        self.cut_lines += data.count(b"\n")

    def closing_text(self) -> str:
        """Return what follows the head: the note of what was cut, then the tail, from the start of a line."""
        tail = b"".join(self.tail)
        over = max(0, len(tail) - STREAM_TAIL_BYTES)
        if over or self.cut_size:
            start = _tail_start(tail, over)
            self._cut(tail[:start])
            tail = tail[start:]
        if not self.cut_size:
            return tail.decode()
        where = f"; the whole is in {self.path}" if self.path else ""
        note = f"\n[… {self.cut_lines:,} lines ({self.cut_size:,} bytes) are not shown here{where} …]\n"
        return note + tail.decode()


class Outputs:
    """What one cell has put out so far."""

    def __init__(self, cell_id: str, overflow: Overflow) -> None:
        self.truncated = False
        self._cell_id = cell_id
        self._overflow = overflow
        self._outputs: list[Output] = []
        self._printed: dict[str, _Printed] = {}
        self._display_ids: dict[str, list[int]] = {}
        self._costs: dict[int, int] = {}  # bytes of each rich output, by its index
        self._failures = 0
        self._set_aside_files = 0
        self._dropped = 0
        self._told_bytes = 0
        self._clear_next = False

    def take(self, message: Stream | Display | Failure | Clear) -> list[Event]:
        """Keep what fits of a message and return what watchers are to see of it.

        A cell that clears or updates its output over and over is kept right, but shown live only up to a limit.
        """
        live = self._told_bytes <= LIVE_BYTES_PER_CELL
        events = self._keep(message)
        if not live:
            return []
        self._told_bytes += sum(_weight(event) for event in events)
        if self._told_bytes > LIVE_BYTES_PER_CELL:
            events.append(
                CellNotice(self._cell_id, "This cell's output changes too much; the rest follows at its end.")
            )
        return events

    def _keep(self, message: Stream | Display | Failure | Clear) -> list[Event]:
        match message:
            case Clear(wait=True):
                self._clear_next = True
                return []
            case Clear():
                return self._clear()
        cleared = self._clear() if self._clear_next else []
        match message:
            case Stream():
                return cleared + self._print(message)
            case Display():
                return cleared + (self._update(message) if message.update else self._show(message))
            case Failure():
                return cleared + self._fail(message)

    def note(self, name: str, text: str) -> list[Event]:
        """Add an error output of our own making: a timeout, a lost sandbox. It is kept whatever the cell did."""
        return self._add(_error(name, text, [f"{name}: {text}"]))

    def so_far(self) -> list[Output]:
        """Return the outputs as they are now, of long ones the beginning."""
        return [dict(output) for output in self._outputs]

    def finish(self) -> list[Output]:
        """Return the final outputs: tails in place, what was dropped said."""
        for printed in self._printed.values():
            printed.output["text"] += printed.closing_text()
            self.truncated |= printed.cut_size > 0
            if not any(output is printed.output for output in self._outputs):
                self._outputs.append(printed.output)
        if self._dropped:
            text = (
                f"[{self._dropped:,} more outputs are not kept: a cell keeps {RICH_OUTPUTS_PER_CELL}, "
                f"of {RICH_BYTES_PER_CELL // MIB} MiB together]\n"
            )
            self._outputs.append({"output_type": "stream", "name": "stderr", "text": text})
        self._printed.clear()
        return self._outputs

    def _print(self, message: Stream) -> list[Event]:
        if not message.text:
            return []
        printed = self._printed.get(message.name)
        in_order = printed is not None and (printed.path is not None or printed.output is self._outputs[-1])
        if printed is None or (not in_order and len(self._outputs) < OUTPUTS_PER_CELL):
            head_size = printed.head_size if printed else 0
            printed = _Printed({"output_type": "stream", "name": message.name, "text": ""}, head_size)
            self._printed[message.name] = printed
            self._outputs.append(printed.output)
        if printed.path is not None:
            self._overflow.add_text(message.name, message.text)
            printed.keep_tail(message.text)
            return []
        size = len(message.text.encode())
        if printed.head_size + size <= STREAM_HEAD_BYTES:
            printed.head_size += size
            printed.output["text"] += message.text
            return [StreamText(self._cell_id, message.name, message.text)]
        return self._overrun(printed, message)

    def _overrun(self, printed: _Printed, message: Stream) -> list[Event]:
        """Begin the spill file with all that was printed so far, and go on with it and a tail."""
        room = STREAM_HEAD_BYTES - printed.head_size
        head = message.text.encode()[:room].decode("utf-8", "ignore")
        head = head[: head.rfind("\n") + 1] or head
        printed.path = self._overflow.add_text(message.name, self._text_of(message.name) + message.text)
        printed.output["text"] += head
        printed.head_size = STREAM_HEAD_BYTES
        printed.keep_tail(message.text[len(head) :])
        notice = (
            f"This cell prints a lot: the rest of its {message.name} follows when it ends, and goes to {printed.path}."
        )
        return [StreamText(self._cell_id, message.name, head), CellNotice(self._cell_id, notice)]

    def _text_of(self, stream: str) -> str:
        return "".join(output["text"] for output in self._outputs if output.get("name") == stream)

    def _show(self, message: Display) -> list[Event]:
        if len(self._costs) >= RICH_OUTPUTS_PER_CELL:
            return self._drop()
        output, cost = self._rich_output(message)
        if not self._afford(len(self._outputs), cost):
            return self._drop()
        if message.display_id is not None:
            self._display_ids.setdefault(message.display_id, []).append(len(self._outputs))
        return self._add(output)

    def _fail(self, message: Failure) -> list[Event]:
        if self._failures >= RICH_OUTPUTS_PER_CELL:
            return self._drop()
        self._failures += 1
        self._told_bytes += len(message.evalue) + sum(len(line) for line in message.traceback)
        return self._add(_error(message.ename, message.evalue, list(message.traceback)))

    def _afford(self, index: int, cost: int) -> bool:
        """Tell whether the cell's budget of bytes allows that output at that place, and charge it."""
        if sum(self._costs.values()) - self._costs.get(index, 0) + cost > RICH_BYTES_PER_CELL:
            return False
        self._costs[index] = cost
        self._told_bytes += cost
        return True

    def _drop(self) -> list[Event]:
        self._dropped += 1
        self.truncated = True
        return []

    def _update(self, message: Display) -> list[Event]:
        places = self._display_ids.get(message.display_id or "", [])
        if not places:
            return []
        events: list[Event] = []
        output, cost = self._rich_output(message)
        for index in places:
            if not self._afford(index, cost):
                return events + self._drop()
            kept = ("output_type", "execution_count")
            earlier = {key: value for key, value in self._outputs[index].items() if key in kept}
            self._outputs[index] = {**output, **earlier}
            events.append(OutputUpdated(self._cell_id, index, self._outputs[index]))
        return events

    def _add(self, output: Output) -> list[Event]:
        self._outputs.append(output)
        return [OutputAdded(self._cell_id, output)]

    def _clear(self) -> list[Event]:
        self._clear_next = False
        self._printed = {name: printed for name, printed in self._printed.items() if printed.path is not None}
        for name, printed in self._printed.items():
            printed.clear(self._text_of(name))
        self._outputs = []
        self._display_ids = {}
        self._costs = {}
        self._failures = 0
        return [OutputsCleared(self._cell_id)]

    def _rich_output(self, message: Display) -> tuple[Output, int]:
        """Return what is kept of a display, and its bytes."""
        data = {}
        notes = []
        cost = 0
        for mime_type, value in message.data.items():
            size = _size(value)
            if size <= RICH_OUTPUT_BYTES:
                data[mime_type] = value
                cost += size
            else:
                self.truncated = True
                notes.append(self._set_aside(mime_type, value, size))
        if notes:
            data["text/plain"] = "\n".join([*notes, data.get("text/plain", "")]).rstrip("\n")
        output: Output = {"output_type": "display_data", "data": data, "metadata": message.metadata}
        if message.execution_count is not None:
            output |= {"output_type": "execute_result", "execution_count": message.execution_count}
        return output, cost

    def _set_aside(self, mime_type: str, value: Any, size: int) -> str:
        """Put an output that is too large into a file and return the words that stand in its place."""
        if self._set_aside_files >= RICH_OUTPUTS_PER_CELL:
            return f"[{mime_type} of {size:,} bytes is too large to show, and one too many to keep]"
        try:
            if mime_type in _BASE64_TYPES:
                content = b64decode(value, validate=False)
            else:
                content = (value if isinstance(value, str) else json.dumps(value)).encode()
        except ValueError:
            return f"[{mime_type} of {size:,} bytes, not valid, not shown]"
        self._set_aside_files += 1
        path = self._overflow.add_file(_FILE_ENDINGS.get(mime_type, "txt"), content)
        return f"[{mime_type} of {size:,} bytes is too large to show; it is in {path}]"


def _size(value: Any) -> int:
    text = value if isinstance(value, str) else json.dumps(value)
    return len(text) if text.isascii() else len(text.encode())


def _weight(event: Event) -> int:
    """Return about what an event costs in memory; outputs other than text are counted where they are made."""
    return _EVENT_BYTES + (len(event.text) if isinstance(event, StreamText) else 0)


def _error(name: str, text: str, traceback: list[str]) -> Output:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": traceback}


def _tail_start(data: bytes, over: int) -> int:
    """Return where a tail begins that leaves out `over` bytes: at a line, or in one that has no end at a character."""
    start = data.find(b"\n", over) + 1
    if 0 < start < len(data):
        return start
    while over < len(data) and data[over] & 0xC0 == 0x80:
        over += 1
    return over
