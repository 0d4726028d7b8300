"""How long a new session's first cell takes, beside a bare container of the same image."""

import time

from bench.figures import Bound, Comparison
from bench.floor_sandbox import prepare_floor, run_cell
from bench.rounds import in_turns
from bench.stack import Stack

_ROUNDS, _QUICK_ROUNDS = 15, 4
_BOUND = Bound("times", 1.3)
_SETTLE_S = 0.3  # the engine tidies up after a container for a moment; that belongs to no one's start


def measure_cold_start(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `cold_first_cell`."""

    def glovebox() -> float:
        began = time.perf_counter()
        session = stack.api.make_session()
        stack.api.run(session, "1+1")
        took = time.perf_counter() - began
        stack.api.delete_session(session)
        time.sleep(_SETTLE_S)
        return took * 1000

    def floor() -> float:
        sandbox = prepare_floor(stack)
        try:
            began = time.perf_counter()
            connection = sandbox.start()
            run_cell(connection, "1+1")
            took = time.perf_counter() - began
            connection.close()
        finally:
            sandbox.remove()
        time.sleep(_SETTLE_S)
        return took * 1000

    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    samples = in_turns("cold_first_cell", rounds, glovebox, floor, warm_up=1)
    return [Comparison("cold_first_cell", "ms", *samples, _BOUND)]
