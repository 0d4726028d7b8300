"""How long a new session's first cell takes where sandboxes wait, with a pause for the pool before each session."""

import time

from bench.errors import WrongResult
from bench.figures import Bound, Comparison, Measured
from bench.rounds import Progress
from bench.stack import Stack

WARM = 3  # sandboxes that wait
REFILL_S = 3.0  # longer than a sandbox takes to start
_ROUNDS, _QUICK_ROUNDS = 20, 5
_MOST = Bound("at_most", 25)


def measure_warm_start(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `warm_first_cell`."""
    rounds = 1 + (_QUICK_ROUNDS if quick else _ROUNDS)
    progress = Progress("warm_first_cell", rounds)
    samples: list[float] = []
    for _ in range(rounds):
        time.sleep(REFILL_S)
        began = time.perf_counter()
        session = stack.api.make_session()
        cell = stack.api.run(session, "1+1")
        samples.append((time.perf_counter() - began) * 1000)
        if cell["outputs"][0]["data"]["text/plain"] != "2":
            raise WrongResult(f"1+1 gave {cell['outputs']}")
        stack.api.delete_session(session)
        progress.say_round()
    return [Comparison("warm_first_cell", "ms", samples[1:], bound=_MOST)]
