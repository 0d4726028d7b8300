"""The oracles on the host's side while a session is hostile: the orchestrator's memory, and a peer that answers."""

import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

from tests.stack import ApiSession, Stack

MOST_RSS_MB = 300
# A peer's cell may take this long at p95, or on a slow host so many times what it takes when all is quiet.
PEER_P95_S = 0.1
PEER_RATIO = 10
PEER_RATIO_BESIDE_HONEST = 3
_QUIET_CELLS = 20
_HONEST = (
    "import os, time\nuntil = time.monotonic() + 5\nchild = os.fork()\nwhile time.monotonic() < until: pass\n"
    "if not child: os._exit(0)\nos.waitpid(child, 0)"
)


class Watch:
    """What was seen of the orchestrator, the host and a peer session meanwhile."""

    def __init__(self, stack: Stack, peer: ApiSession) -> None:
        self._stack = stack
        self._peer = peer
        self._quiet_s = self._some_cells()
        self._disk = os.statvfs(stack.folder)
        self._processes = processes()
        self.rss_mb = 0.0
        self.peer_s: list[float] = []
        self.wrong_answers: list[str] = []
        self.most_disk_mb = 0.0
        self.most_inodes = 0
        self.most_processes = 0

    def peer_kept_answering(self) -> bool:
        """Tell whether the peer answered right, and quickly.

        On a host that is slow by itself it may be as slow as it is beside a session that computes and means no harm.
        """
        if self.wrong_answers or len(self.peer_s) < 2:
            return False
        found_s = p95(self.peer_s)
        if found_s < max(PEER_P95_S, PEER_RATIO * p95(self._quiet_s)):
            return True
        return found_s < PEER_RATIO_BESIDE_HONEST * p95(self._cells_beside_an_honest_session())

    def told(self) -> str:
        """Return what was seen, for a person."""
        peer = f"p95 {p95(self.peer_s) * 1000:.0f} ms of {len(self.peer_s)}" if len(self.peer_s) > 1 else "silent"
        return (
            f"rss {self.rss_mb:.0f} MB; peer {peer}, quiet {p95(self._quiet_s) * 1000:.0f} ms; {self.wrong_answers[:2]}"
            f"; disk +{self.most_disk_mb:.0f} MB, +{self.most_inodes} inodes, +{self.most_processes} processes"
        )

    def sample(self, process: psutil.Process) -> None:
        """Look at the host once."""
        self.rss_mb = max(self.rss_mb, process.memory_info().rss / 2**20)
        now = os.statvfs(self._stack.folder)
        self.most_disk_mb = max(self.most_disk_mb, (self._disk.f_bfree - now.f_bfree) * now.f_frsize / 2**20)
        self.most_inodes = max(self.most_inodes, self._disk.f_ffree - now.f_ffree)
        self.most_processes = max(self.most_processes, processes() - self._processes)

    def ask(self, client: httpx2.Client) -> None:
        """Have the peer answer once."""
        began = time.monotonic()
        try:
            answer = client.post(f"{self._peer.path}/executions", json={"code": "1+1"}).text
        except httpx2.HTTPError as error:
            answer = repr(error)
        if '"text/plain":"2"' in answer:
            self.peer_s.append(time.monotonic() - began)
        else:
            self.wrong_answers.append(answer[:500])
            time.sleep(0.1)

    def _some_cells(self) -> list[float]:
        taken: list[float] = []
        for _ in range(_QUIET_CELLS):
            began = time.monotonic()
            self._peer.run("1+1")
            taken.append(time.monotonic() - began)
        return taken

    def _cells_beside_an_honest_session(self) -> list[float]:
        with self._stack.client() as client:
            busy = ApiSession(client)
            busy.run("1")
            computing = threading.Thread(target=busy.run, args=(_HONEST,))
            computing.start()
            taken = self._some_cells()
            computing.join()
            busy.delete()
        return taken


def assert_held(watch: Watch) -> None:
    """What must hold whatever a session does: bounded memory, and a peer that is answered."""
    assert watch.rss_mb < MOST_RSS_MB, watch.told()
    assert watch.peer_kept_answering(), watch.told()


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[18]


def processes() -> int:
    """Return how many threads and processes the host's kernel has; those of sandboxes are among them."""
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])


@contextmanager
def watching(stack: Stack, peer: ApiSession) -> Iterator[Watch]:
    stop = threading.Event()
    assert stack.orchestrator is not None
    process = psutil.Process(stack.orchestrator.pid)
    watch = Watch(stack, peer)
    watch.sample(process)

    def sample() -> None:
        while not stop.wait(0.05):
            watch.sample(process)

    def ask() -> None:
        with stack.client() as client:
            while not stop.is_set():
                watch.ask(client)
                time.sleep(0.1)

    threads = [threading.Thread(target=one) for one in (sample, ask)]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        for thread in threads:
            thread.join()
