"""What a colleague who uses all there is costs the others: a small cell beside ten that never rest."""

import threading
import time

from bench.client import Api
from bench.errors import WrongResult
from bench.figures import Bound, Comparison, percentile
from bench.stack import Stack

CPUS, MEMORY_MB, CELL_S = 1.0, 512, 600  # of the profile: what is promised of one CPU leaves the other to everybody
_SPINNING = 10
_BATCHES, _QUICK_BATCHES = 15, 5
_CELLS = 40  # of a batch: its p95 is one sample
_PAUSE_S = 0.01
_SPIN = "while True: pass"
_BOUND = Bound("times", 2)


def measure_fairness(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `fair_share`: the p95 of `1+1`, while somebody's ten cells spin, beside the same on a quiet host."""
    batches = _QUICK_BATCHES if quick else _BATCHES
    mine = stack.api.make_session()
    _p95_ms(stack.api, mine)
    quiet = [_p95_ms(stack.api, mine) for _ in range(batches)]
    theirs = [stack.api.make_session() for _ in range(_SPINNING)]
    for session in theirs:
        stack.api.run(session, "1")
    threads = [threading.Thread(target=_spin, args=(stack.url, session), daemon=True) for session in theirs]
    for thread in threads:
        thread.start()
    time.sleep(2)
    busy = [_p95_ms(stack.api, mine) for _ in range(batches)]
    for session in [*theirs, mine]:
        stack.api.delete_session(session)
    for thread in threads:
        thread.join()
    return [Comparison("fair_share", "ms", busy, quiet, _BOUND, "quiet host")]


def _p95_ms(api: Api, session: str) -> float:
    took = []
    for _ in range(_CELLS):
        began = time.perf_counter()
        cell = api.run(session, "1+1")
        took.append((time.perf_counter() - began) * 1000)
        if cell["outputs"][-1].get("data", {}).get("text/plain") != "2":  # the 1001st comes with a warning of IPython's
            raise WrongResult(f"1+1 gave {cell}")
        time.sleep(_PAUSE_S)
    return percentile(took, 95)


def _spin(url: str, session: str) -> None:
    """Run a cell that never ends; the session's deletion ends it."""
    api = Api(url)
    try:
        api.try_to_run(session, _SPIN)
    except WrongResult:  # the session is gone, as it was meant
        return
    finally:
        api.close()
