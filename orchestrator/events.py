"""Events of cells and turns, and the append-only log that watchers follow (the table in docs/api.md)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; each kind says its `type`."""

    type: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """Return the event as it goes over the wire."""
        return {"type": self.type, **asdict(self)}


@dataclass(frozen=True, slots=True)
class TurnStarted(Event):
    """A chat turn began."""

    type: ClassVar[str] = "turn_started"
    turn_id: str
    user_message_id: str
    message_id: str
    model: str | None  # None: the user's own code runs


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """The model wrote text."""

    type: ClassVar[str] = "text_delta"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta(Event):
    """The model thought aloud, which is no part of its answer."""

    type: ClassVar[str] = "reasoning_delta"
    text: str


@dataclass(frozen=True, slots=True)
class CodeDelta(Event):
    """The model wrote a piece of a cell's code."""

    type: ClassVar[str] = "code_delta"
    call: int
    text: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    """A call waits for a person."""

    type: ClassVar[str] = "approval_asked"
    call_id: str
    code: str


@dataclass(frozen=True, slots=True)
class ApprovalGiven(Event):
    """A person decided `run` or `refuse`; `code` is what runs, or would have."""

    type: ClassVar[str] = "approval_given"
    call_id: str
    decision: str
    code: str


@dataclass(frozen=True, slots=True)
class SandboxState(Event):
    """The session's sandbox is `starting`, or `queued` while the host is full: then `place` counts from 1."""

    type: ClassVar[str] = "sandbox_state"
    state: str
    place: int | None = None


@dataclass(frozen=True, slots=True)
class CellStarted(Event):
    """A cell runs now."""

    type: ClassVar[str] = "cell_started"
    cell_id: str
    code: str


@dataclass(frozen=True, slots=True)
class StreamText(Event):
    """A cell printed."""

    type: ClassVar[str] = "stream"
    cell_id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class OutputAdded(Event):
    """A cell showed something: one nbformat output that is no stream."""

    type: ClassVar[str] = "output"
    cell_id: str
    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutputUpdated(Event):
    """An earlier output of a cell is now this one."""

    type: ClassVar[str] = "output_updated"
    cell_id: str
    index: int
    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutputsCleared(Event):
    """A cell cleared its outputs."""

    type: ClassVar[str] = "outputs_cleared"
    cell_id: str


@dataclass(frozen=True, slots=True)
class CellNotice(Event):
    """Something to tell about a cell."""

    type: ClassVar[str] = "cell_notice"
    cell_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CellFinished(Event):
    """A cell ended; `outputs` is final and complete."""

    type: ClassVar[str] = "cell_finished"
    cell_id: str
    code: str
    execution_count: int | None
    status: str
    outputs: list[dict[str, Any]]
    duration_s: float
    truncated: bool
    files: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return the event without copying its outputs, which may be megabytes."""
        return {"type": self.type} | {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class CellFailed(Event):
    """A cell never ran: no sandbox could be started."""

    type: ClassVar[str] = "cell_failed"
    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallRejected(Event):
    """The model called a tool in a way that makes no sense; with `code`, in one that does, and it did not run."""

    type: ClassVar[str] = "call_rejected"
    name: str
    reason: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Looked(Event):
    """Another model looked at a picture for the one that was asked; `answer` is also why nothing could be seen."""

    type: ClassVar[str] = "looked"
    path: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something to tell about a turn."""

    type: ClassVar[str] = "notice"
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyRestarted(Event):
    """A reply broke off and is asked for again: its text and half-written code so far count no more."""

    type: ClassVar[str] = "reply_restarted"
    round: int


@dataclass(frozen=True, slots=True)
class ReplyUsage(Event):
    """What a reply used; `cost` is None where no price is known, `window_tokens` what the request had of `window`."""

    type: ClassVar[str] = "usage"
    tokens_in: int
    tokens_out: int
    cost: float | None
    window_tokens: int
    window: int


@dataclass(frozen=True, slots=True)
class TurnFinished(Event):
    """A turn ended."""

    type: ClassVar[str] = "turn_finished"
    status: str
    problem: dict[str, Any] | None


@dataclass
class EventLog:
    """An append-only list of events that any number of watchers follow, each from any point.

    Its size is bounded by what it is fed: a cell's events are bounded by its output limits. One that `is_watched` may
    be followed at any time; of another it is known that nobody will.
    """

    is_watched: bool = True
    _events: list[Event] = field(default_factory=list)
    _closed: bool = False
    _changed: asyncio.Event | None = None  # of those who wait

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Add an event and wake those who wait for it."""
        self._events.append(event)
        self._wake()

    def close(self) -> None:
        """Say that nothing more will come."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def since(self, number: int) -> Sequence[Event]:
        """Return what came after the event with this number."""
        return self._events[number:]

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Yield `(sequence number, event)` from number `after + 1` on, until the log is closed.

        Numbers start at 1, so that `after=0` means from the beginning, as a missing `Last-Event-ID` does.
        """
        position = max(after, 0)
        while True:
            while position < len(self._events):
                position += 1
                yield position, self._events[position - 1]
            if self._closed:
                return
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()
