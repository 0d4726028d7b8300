"""A session with much in its variables falls asleep; how long its next cell takes, and whether all is there again."""

import math
import time

from bench.errors import WrongResult
from bench.figures import Bound, Comparison, Measured, NotMeasured
from bench.progress import say
from bench.stack import Stack

IDLE_S = 3.0
_ROUNDS, _QUICK_ROUNDS = 5, 2
_ASLEEP_S = 120.0
_POLL_S = 0.2
_MOST = Bound("at_most", 2.5)
_FRAMES = 10
_MAKE = f"""
import numpy as np, pandas as pd
for i in range({_FRAMES}):  # 10 MB each
    globals()[f"frame_{{i}}"] = pd.DataFrame(np.random.default_rng(i).random((125_000, 10)))
"""
_READ = f'print(sum(float(globals()[f"frame_{{i}}"].to_numpy().sum()) for i in range({_FRAMES})))'


def measure_waking(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `wake_up`: 100 MB of data frames, read by the first cell after a sleep."""
    session = stack.api.make_session()
    stack.api.run(session, _MAKE)
    expected = float(stack.api.run(session, _READ)["outputs"][0]["text"])
    samples: list[float] = []
    for number in range(_QUICK_ROUNDS if quick else _ROUNDS):
        say(f"wake_up: falling asleep, round {number + 1}")
        wait_until_asleep(stack)
        began = time.perf_counter()
        cell = stack.api.try_to_run(session, _READ)
        samples.append(time.perf_counter() - began)
        if cell["status"] != "ok":
            why = "the variables were not kept: {ename}: {evalue}".format(**cell["outputs"][-1])
            return [NotMeasured("wake_up", "glovebox", why, asked=True)]
        if not math.isclose(float(cell["outputs"][0]["text"]), expected, rel_tol=1e-9):
            raise WrongResult(f"the frames' sum was {expected} and is {cell['outputs'][0]['text']} after a sleep")
    stack.api.delete_session(session)
    return [Comparison("wake_up", "s", samples, bound=_MOST)]


def wait_until_asleep(stack: Stack) -> None:
    """Wait until all sessions are asleep.

    Raises:
        WrongResult: some are not, long after their time.

    """
    deadline = time.monotonic() + _ASLEEP_S
    while set(states := stack.api.states()) - {"asleep"}:
        if time.monotonic() > deadline:
            raise WrongResult(
                f"of {len(states)} idle sessions {len(states) - states.count('asleep')} do not fall asleep"
            )
        time.sleep(_POLL_S)
