"""How long a stop takes, whatever it strikes: from the click to the end of the turn, for whoever watches it."""

import threading
import time
from collections.abc import Mapping

from bench.client import Api
from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.provider import MODEL, WORDS, running_provider
from bench.rounds import Progress
from bench.stack import Stack

_ROUNDS, _QUICK_ROUNDS = 10, 3
_AT_REST_S = 60.0
_BOUND = Bound("p95_at_most", 1000)
_GO = "print('go', flush=True)\n"
# What is said, and the event at which it is stopped. The last ones do not heed an interrupt, so their kernel is ended
# behind the answer.
_MOMENTS: Mapping[str, tuple[str, str]] = {
    "stop_in_text": (WORDS, "text_delta"),
    "stop_in_sleep": (f"!import time\n{_GO}time.sleep(60)", "stream"),
    "stop_in_loop": (f"!{_GO}while True: pass", "stream"),
    "stop_in_flood": (f"!{_GO}while True: print('x' * 100_000)", "stream"),
    "stop_in_c_call": (f"!import numpy\na = numpy.random.rand(1500, 1500)\n{_GO}numpy.linalg.svd(a)", "stream"),
    "stop_in_deaf_cell": (
        f"!import time\n{_GO}while True:\n try: time.sleep(1)\n except KeyboardInterrupt: pass",
        "stream",
    ),
}
NAMES = tuple(_MOMENTS)


def measure_stops(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure each moment."""
    samples: dict[str, list[float]] = {name: [] for name in _MOMENTS}
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    progress = Progress("stops", rounds)
    with running_provider(stack.provider_port):
        session = stack.api.make_session()
        stack.api.run(session, "1+1")
        for _ in range(rounds):
            for name, (content, moment) in _MOMENTS.items():
                samples[name].append(_stopped(stack, session, content, moment) * 1000)
                _wait_until_at_rest(stack, session)
            progress.say_round()
        stack.api.delete_session(session)
    return [Comparison(name, "ms", taken, bound=_BOUND) for name, taken in samples.items()]


def _stopped(stack: Stack, session: str, content: str, moment: str) -> float:
    """Say something, stop it at an event, and return the seconds from there to the turn's end."""
    began = 0.0
    stopping: threading.Thread | None = None
    for event in stack.api.say(session, content, MODEL):
        if event["type"] == moment and stopping is None:
            stopping = threading.Thread(target=_stop, args=(stack.url, session))
            began = time.perf_counter()
            stopping.start()
        if event["type"] == "turn_finished":
            if stopping is None or event["status"] != "stopped":
                raise WrongResult(f"a turn that was to be stopped ended with {event}")
            stopping.join()
            return time.perf_counter() - began
    raise WrongResult("a turn had no end")


def _stop(url: str, session: str) -> None:
    api = Api(url)
    try:
        api.stop(session)
    finally:
        api.close()


def _wait_until_at_rest(stack: Stack, session: str) -> None:
    deadline = time.monotonic() + _AT_REST_S
    while stack.api.state(session) == "busy":
        if time.monotonic() > deadline:
            raise WrongResult("a stopped cell did not end")
        time.sleep(0.1)
