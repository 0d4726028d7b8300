"""What a cell costs in a session that runs already: its round trip, and its first line's way to the client."""

import time
from typing import Any

from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.floor_kernel import running_floor_kernel
from bench.rounds import in_turns
from bench.stack import Stack

_ROUNDS, _QUICK_ROUNDS = 300, 100
_LINES, _QUICK_LINES = 50, 20
_ROUND_TRIP_BOUND = Bound("times", 2)
_WARM_UP = 20
_PRINT_THE_TIME = "import time; print(time.time(), flush=True)"


def measure_round_trip(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `cell_round_trip`."""
    session = stack.api.make_session()
    with running_floor_kernel(stack) as kernel:

        def glovebox() -> float:
            began = time.perf_counter()
            cell = stack.api.run(session, "1+1")
            took = time.perf_counter() - began
            if cell["outputs"][0]["data"]["text/plain"] != "2":
                raise WrongResult(f"1+1 gave {cell['outputs']}")
            return took * 1000

        def floor() -> float:
            return kernel.run("1+1").seconds * 1000

        rounds = _QUICK_ROUNDS if quick else _ROUNDS
        samples = in_turns("cell_round_trip", rounds, glovebox, floor, warm_up=_WARM_UP)
    stack.api.delete_session(session)
    return [Comparison("cell_round_trip", "ms", *samples, _ROUND_TRIP_BOUND)]


def measure_first_line(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `first_line`: the cell prints the time, and whoever hears it looks at the same clock."""
    session = stack.api.make_session()
    with running_floor_kernel(stack) as kernel:

        def glovebox() -> float:
            late = [
                time.time() - float(event["text"])
                for event in stack.api.run_watched(session, _PRINT_THE_TIME)
                if _has_the_time(event)
            ]
            if len(late) != 1:
                raise WrongResult(f"the line came {len(late)} times")
            return late[0] * 1000

        def floor() -> float:
            cell = kernel.run(_PRINT_THE_TIME)
            return (cell.first_text_at - float(cell.first_text or "nan")) * 1000

        samples = in_turns("first_line", _QUICK_LINES if quick else _LINES, glovebox, floor, warm_up=_WARM_UP)
    stack.api.delete_session(session)
    return [Comparison("first_line", "ms", *samples)]


def _has_the_time(event: dict[str, Any]) -> bool:
    """Tell whether an event is the printed line: its newline may follow in an event of its own."""
    return event["type"] == "stream" and bool(event["text"].strip())
