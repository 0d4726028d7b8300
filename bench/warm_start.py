"""How long a new session's first cell takes where sandboxes wait, with a pause for the pool before each session."""

import time

from bench.errors import WrongResult
from bench.figures import Bound, Comparison, Measured
from bench.rounds import Progress
from bench.stack import Stack

WARM = 3  # sandboxes that wait
_REFILLED_S = 120.0
_QUIET_S = 1.5  # the pool makes one after the other, and a start costs the host's other work
_POLL_S = 0.1
_ROUNDS, _QUICK_ROUNDS = 20, 5
_MOST = Bound("at_most", 25)


def measure_warm_start(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `warm_first_cell`."""
    rounds = 1 + (_QUICK_ROUNDS if quick else _ROUNDS)
    progress = Progress("warm_first_cell", rounds)
    samples: list[float] = []
    for _ in range(rounds):
        wait_until_refilled(stack)
        began = time.perf_counter()
        session = stack.api.make_session()
        cell = stack.api.run(session, "1+1")
        samples.append((time.perf_counter() - began) * 1000)
        if cell["outputs"][0]["data"]["text/plain"] != "2":
            raise WrongResult(f"1+1 gave {cell['outputs']}")
        stack.api.delete_session(session)
        progress.say_round()
    return [Comparison("warm_first_cell", "ms", samples[1:], bound=_MOST)]


def wait_until_refilled(stack: Stack) -> None:
    """Wait until sandboxes wait, and no more of them are being made.

    Raises:
        WrongResult: there are too few, long after their time.

    """
    deadline = time.monotonic() + _REFILLED_S
    waiting, since = -1, time.monotonic()
    while waiting < WARM or time.monotonic() - since < _QUIET_S:
        if time.monotonic() > deadline:
            raise WrongResult(f"{waiting} sandboxes wait instead of {WARM}")
        time.sleep(_POLL_S)
        if (now := stack.api.waiting()) != waiting:
            waiting, since = now, time.monotonic()
