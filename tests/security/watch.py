"""The oracles on the host's side while a session is hostile: the orchestrator's memory, and a peer that answers."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psutil

from tests.stack import ApiSession, Stack

MOST_RSS_MB = 300
# A peer's cell may take this long at p95, or on a slow host so many times what it takes when all is quiet.
PEER_P95_S = 0.1
PEER_RATIO = 10


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
