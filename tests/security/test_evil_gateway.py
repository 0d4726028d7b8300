"""The gateway as an enemy (THREATS G1 to G7): code in a sandbox takes its socket over and plays each case.

The oracles are on the host's side: another session's `1+1` keeps answering, the orchestrator's memory stays bounded,
and the attacked session answers again afterwards, from a container that is not the attacker's.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.stack import ApiSession, MakeSession, Stack, wait_for

MOST_RSS_MB = 300
# A peer's cell may take this long at p95, or on a slow host so many times what it takes when all is quiet.
PEER_P95_S = 0.1
PEER_RATIO = 10
SCRIPT = Path(__file__).with_name("evil_gateway.py").read_text()
CONNECTING = ("no-answer", "endless-headers", "redirect", "gzip-bomb", "deflate", "says-nothing")
ANSWERING = (
    "huge-frame-header",
    "ff-frame",
    "text-frame",
    "deep-json",
    "long-number",
    "ping-flood",
    "endless-fragments",
    "endless-stream",
    "endless-after-the-reply",
    "many-pictures",
    "large-lists",
)


class Watch:
    """What was seen of the orchestrator and of a peer session meanwhile."""

    def __init__(self, quiet_s: list[float]) -> None:
        self.rss_mb = 0.0
        self.peer_s: list[float] = []
        self._allowed_s = max(PEER_P95_S, PEER_RATIO * p95(quiet_s))

    def peer_kept_answering(self) -> bool:
        return len(self.peer_s) >= 2 and p95(self.peer_s) < self._allowed_s


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[18]


@contextmanager
def watching(stack: Stack, peer: ApiSession) -> Iterator[Watch]:
    stop = threading.Event()
    assert stack.orchestrator is not None
    process = psutil.Process(stack.orchestrator.pid)

    def one_cell(client: httpx2.Client) -> float:
        began = time.monotonic()
        answer = client.post(f"{peer.path}/executions", json={"code": "1+1"}).json()
        assert answer["outputs"][0]["data"]["text/plain"] == "2"
        return time.monotonic() - began

    watch = Watch([one_cell(peer.client) for _ in range(20)])

    def sample() -> None:
        while not stop.wait(0.02):
            watch.rss_mb = max(watch.rss_mb, process.memory_info().rss / 2**20)

    def ask() -> None:
        with stack.client() as client:
            while not stop.is_set():
                watch.peer_s.append(one_cell(client))
                time.sleep(0.02)

    threads = [threading.Thread(target=one) for one in (sample, ask)]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def take_over(session: ApiSession, stack: Stack, case: str) -> None:
    """Have the session's own code replace its gateway, and the orchestrator connect to what is there now."""
    session.put("evil.py", SCRIPT.encode())
    session.run(
        "import subprocess, sys, os\n"
        f"subprocess.Popen([sys.executable, 'evil.py', {case!r}, str(os.getppid())], start_new_session=True)"
    )
    run_folder = stack.folder / "data" / "sessions" / session.id / "run"
    wait_for((run_folder / "taken").exists, "the takeover")
    assert session.client.post(f"{session.path}/restart").status_code == 204


@pytest.fixture
def peer(make_session: MakeSession) -> ApiSession:
    session = make_session()
    session.run("1+1")
    return session


@pytest.mark.parametrize("case", CONNECTING)
def test_a_gateway_that_does_not_let_us_in_properly_is_replaced(
    make_session: MakeSession, stack: Stack, peer: ApiSession, case: str
) -> None:
    session = make_session()
    take_over(session, stack, case)
    attacker = stack.container_of(session.id)
    with watching(stack, peer) as watch:
        assert session.printed("print('recovered')") == "recovered\n"
    assert stack.container_of(session.id) != attacker
    assert watch.rss_mb < MOST_RSS_MB
    assert watch.peer_kept_answering()


@pytest.mark.parametrize("case", ANSWERING)
def test_a_gateway_that_answers_with_poison_or_floods_harms_only_its_own_session(
    make_session: MakeSession, stack: Stack, peer: ApiSession, case: str
) -> None:
    session = make_session()
    take_over(session, stack, case)
    with watching(stack, peer) as watch:
        cell = session.run("print('asked')", timeout_s=6)
        assert cell["status"] in ("sandbox_lost", "timeout", "ok")
        recovered = session.client.post(f"{session.path}/restart")
        assert recovered.status_code == 204
    assert watch.rss_mb < MOST_RSS_MB, case
    assert watch.peer_kept_answering(), case
    session.delete()
    assert stack.containers(f"label=glovebox.session={session.id}") == []


def test_answers_to_other_requests_and_after_the_end_are_not_believed(make_session: MakeSession, stack: Stack) -> None:
    session = make_session()
    take_over(session, stack, "other-peoples-answers")
    cell = session.run("print('asked')", timeout_s=6)
    assert (cell["status"], [o.get("text") for o in cell["outputs"]]) == ("ok", ["mine"])
