"""Many sessions at once, more than sandboxes wait: how long the last one waits for its first cell."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from bench.client import Api
from bench.figures import Bound, Comparison, Measured
from bench.floor_sandbox import FloorSandbox, prepare_floor, run_cell
from bench.rounds import in_turns
from bench.stack import Stack
from bench.warm_start import wait_until_refilled

MEMORY_MB = 512  # that many of them have to fit on the host
_SESSIONS = 20
_ROUNDS, _QUICK_ROUNDS = 4, 1
_SETTLE_S = 3.0
_BOUND = Bound("times", 1.5)


def measure_burst(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `burst_20`: until the last of 20 has its result, beside 20 bare containers that run the same cell."""
    clients = [Api(stack.url) for _ in range(_SESSIONS)]

    def glovebox() -> float:
        wait_until_refilled(stack)
        took, sessions = _at_once([partial(_first_cell, api) for api in clients])
        for session in sessions:
            stack.api.delete_session(session)
        time.sleep(_SETTLE_S)
        return took

    def floor() -> float:
        sandboxes = [prepare_floor(stack) for _ in range(_SESSIONS)]
        try:
            took, _ = _at_once([partial(_first_cell_of_floor, one) for one in sandboxes])
        finally:
            for sandbox in sandboxes:
                sandbox.remove()
        time.sleep(_SETTLE_S)
        return took

    try:
        samples = in_turns("burst_20", _QUICK_ROUNDS if quick else _ROUNDS, glovebox, floor, warm_up=1)
    finally:
        for api in clients:
            api.close()
    return [Comparison("burst_20", "s", *samples, _BOUND, "20 docker run")]


def _at_once(calls: list[Callable[[], str]]) -> tuple[float, list[str]]:
    """Begin all calls at the same moment; return the seconds until the last has ended, and what they returned."""
    barrier = Barrier(len(calls) + 1)

    def run(call: Callable[[], str]) -> str:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        running = [threads.submit(run, call) for call in calls]
        barrier.wait()
        began = time.perf_counter()
        results = [one.result() for one in running]
        return time.perf_counter() - began, results


def _first_cell(api: Api) -> str:
    session = api.make_session()
    api.run(session, "1+1")
    return session


def _first_cell_of_floor(sandbox: FloorSandbox) -> str:
    with sandbox.start() as connection:
        run_cell(connection, "1+1")
    return sandbox.name
