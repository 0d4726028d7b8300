"""What a session can be doing, and what leads from one to the other: the one state machine of sessions. No I/O."""

from enum import Enum, StrEnum, auto

import structlog

log = structlog.get_logger()


class SessionState(StrEnum):
    """What whoever looks at a session is told.

    `asleep` and `lost` have no kernel, and the next use starts one: with the variables that were kept before it fell
    asleep, or without any. A `ready` kernel has run nothing yet; an `idle` one has, and waits.
    """

    ASLEEP = "asleep"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    IDLE = "idle"
    LOST = "lost"
    DELETED = "deleted"


class Step(Enum):
    """What happens to a session."""

    START = auto()  # somebody needs a kernel and there is none, or none that we are connected to
    START_FAILED = auto()
    FRESH = auto()  # the kernel that answers has run nothing
    RESUMED = auto()  # it has the variables of before: it was running all the time, or was woken with them
    RUN = auto()
    DONE = auto()
    RENEWED = auto()  # its kernel was started anew because somebody asked for that
    KERNEL_LOST = auto()  # the kernel, its gateway or its container ended, and nobody had asked for that
    STOPPED = auto()  # we ended its container
    DELETE = auto()


_ALL = frozenset(SessionState)
_COMING = frozenset({SessionState.STARTING, SessionState.LOST})  # lost: a first kernel may not have lived for long
_ALIVE = frozenset({SessionState.READY, SessionState.IDLE, SessionState.BUSY})
# From which states a step may come, and where it leads.
_STEPS: dict[Step, tuple[frozenset[SessionState], SessionState]] = {
    Step.START: (_ALL - {SessionState.STARTING, SessionState.DELETED}, SessionState.STARTING),
    Step.START_FAILED: (_COMING, SessionState.ASLEEP),
    Step.FRESH: (_COMING, SessionState.READY),
    Step.RESUMED: (_COMING, SessionState.IDLE),
    Step.RUN: (frozenset({SessionState.READY, SessionState.IDLE}), SessionState.BUSY),
    Step.DONE: (frozenset({SessionState.BUSY}), SessionState.IDLE),
    Step.RENEWED: (_ALIVE, SessionState.READY),
    Step.KERNEL_LOST: (_ALIVE | {SessionState.STARTING}, SessionState.LOST),
    Step.STOPPED: (_ALIVE | {SessionState.STARTING}, SessionState.ASLEEP),
    Step.DELETE: (_ALL, SessionState.DELETED),
}
# What comes late, and says nothing that is not known already.
_LATE = frozenset(
    {
        *((state, Step.DONE) for state in (SessionState.READY, SessionState.LOST, SessionState.ASLEEP)),
        *((state, Step.RENEWED) for state in (SessionState.ASLEEP, SessionState.LOST)),
        *((state, Step.KERNEL_LOST) for state in (SessionState.ASLEEP, SessionState.LOST)),
        *((state, Step.STOPPED) for state in (SessionState.ASLEEP, SessionState.LOST)),
        *((SessionState.DELETED, step) for step in Step),
    }
)


class SessionLife:
    """The state of one session."""

    def __init__(self) -> None:
        self.state = SessionState.ASLEEP

    def note(self, step: Step) -> None:
        """Take a step. One that makes no sense is a mistake of ours: it is logged and changes nothing."""
        possible, leads_to = _STEPS[step]
        if self.state in possible:
            self.state = leads_to
        elif (self.state, step) not in _LATE:
            log.error("impossible step of a session", state=self.state, step=step.name)
