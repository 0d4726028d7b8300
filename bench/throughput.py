"""How many cells all sessions together can run in a second."""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from bench.errors import WrongResult
from bench.figures import Comparison, Measured
from bench.floor_kernel import running_floor_kernel
from bench.progress import say
from bench.stack import Stack

_SESSIONS = 30
_SECONDS, _QUICK_SECONDS = 10.0, 4.0
_ROUNDS, _QUICK_ROUNDS = 3, 1
_NAME = "cells_per_second"


def measure_throughput(stack: Stack, *, quick: bool) -> list[Measured]:
    """Measure `cells_per_second`: 30 sessions, each with a cell after the other, beside as many bare kernels."""
    seconds, rounds = (_QUICK_SECONDS, _QUICK_ROUNDS) if quick else (_SECONDS, _ROUNDS)
    say(f"{_NAME}: starting {_SESSIONS} sessions")
    sessions = [_Client(stack.url, stack.api.make_session()) for _ in range(_SESSIONS)]
    for session in sessions:
        session.run()
        session.close()
    ours = [_together([session.run_for for session in sessions], seconds) for _ in range(rounds)]
    for session in sessions:
        session.close()
        stack.api.delete_session(session.id)
    say(f"{_NAME}: starting {_SESSIONS} bare kernels")
    with ExitStack() as cleanup:
        kernels = [cleanup.enter_context(running_floor_kernel(stack)) for _ in range(_SESSIONS)]
        for kernel in kernels:
            kernel.run("1+1")
        floor = [_together([partial(kernel.run_for, "1+1") for kernel in kernels], seconds) for _ in range(rounds)]
    return [Comparison(_NAME, "1/s", ours, floor, who="30 bare kernels")]


def _together(runs: list[Callable[[float], int]], seconds: float) -> float:
    """Let all run so long and return the cells of all in a second."""
    with ThreadPoolExecutor(len(runs)) as threads:
        running = [threads.submit(run, seconds) for run in runs]
        return sum(one.result() for one in running) / seconds


class _Client:
    """The cheapest client there is: what it takes itself is missing to those it measures."""

    def __init__(self, url: str, session: str) -> None:
        self.id = session
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._path = f"/v1/sessions/{session}/executions"
        self._body = json.dumps({"code": "1+1"}).encode()

    def close(self) -> None:
        self._connection.close()

    def run(self) -> None:
        """Run the cell and check its result."""
        self._connection.request("POST", self._path, self._body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200 or b'"text/plain":"2"' not in body.replace(b": ", b":"):
            raise WrongResult(f"1+1 was answered {answer.status}: {body[:300]!r}")

    def run_for(self, seconds: float) -> int:
        """Run it again and again so long; return how often it ran to its end."""
        self.close()  # the other end closes what nobody used for some seconds
        ends_at = time.perf_counter() + seconds
        ran = 0
        while True:
            self.run()
            if time.perf_counter() > ends_at:
                return ran
            ran += 1
