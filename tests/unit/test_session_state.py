"""The state machine of sessions, whole: what is not written here never happens."""

from itertools import product

import pytest
from structlog.testing import capture_logs

from orchestrator.sessions.state import SessionLife, SessionState, Step

S = SessionState
LEADS_TO = {
    S.ASLEEP: {Step.START: S.STARTING},
    S.LOST: {Step.START: S.STARTING, Step.FRESH: S.READY, Step.RESUMED: S.IDLE, Step.START_FAILED: S.ASLEEP},
    S.STARTING: {
        Step.START_FAILED: S.ASLEEP,
        Step.FRESH: S.READY,
        Step.RESUMED: S.IDLE,
        Step.KERNEL_LOST: S.LOST,
        Step.STOPPED: S.ASLEEP,
    },
    S.READY: {
        Step.START: S.STARTING,  # it was lost, and nobody had noticed
        Step.RUN: S.BUSY,
        Step.RENEWED: S.READY,
        Step.KERNEL_LOST: S.LOST,
        Step.STOPPED: S.ASLEEP,
    },
    S.BUSY: {
        Step.START: S.STARTING,
        Step.DONE: S.IDLE,
        Step.RENEWED: S.READY,
        Step.KERNEL_LOST: S.LOST,
        Step.STOPPED: S.ASLEEP,
    },
    S.IDLE: {
        Step.START: S.STARTING,
        Step.RUN: S.BUSY,
        Step.RENEWED: S.READY,
        Step.KERNEL_LOST: S.LOST,
        Step.STOPPED: S.ASLEEP,
    },
    S.DELETED: {},
}
# They come late and mean nothing any more; all others that lead nowhere are mistakes.
LATE = {
    S.ASLEEP: {Step.DONE, Step.RENEWED, Step.KERNEL_LOST, Step.STOPPED},
    S.LOST: {Step.DONE, Step.RENEWED, Step.KERNEL_LOST, Step.STOPPED},
    S.READY: {Step.DONE},
    S.DELETED: set(Step),
}


@pytest.mark.parametrize(("state", "step"), list(product(S, Step)))
def test_each_step_from_each_state(state: SessionState, step: Step) -> None:
    life = SessionLife()
    life.state = state
    expected = S.DELETED if step is Step.DELETE else LEADS_TO[state].get(step, state)
    with capture_logs() as logs:
        life.note(step)
    assert life.state is expected
    known = step is Step.DELETE or step in LEADS_TO[state] or step in LATE.get(state, set())
    assert [entry["log_level"] for entry in logs] == ([] if known else ["error"])
