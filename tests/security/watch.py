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
# How quick a peer is beside an attack is measured and reported; on a machine that others use at the same time only a
# stall is a finding: a cell that takes this long, or so many times what the slowest took when all was quiet.
STALL_S = 5.0
STALL_RATIO = 50
_QUIET_CELLS = 20
REPORT: list[str] = []  # one line for each attack, printed at the end


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
        """Tell whether the peer always answered, and answered right."""
        if self.wrong_answers or len(self.peer_s) < 2:
            return False
        return max(self.peer_s) < max(STALL_S, STALL_RATIO * max(self._quiet_s))

    def told(self) -> str:
        """Return what was seen, for a person."""
        peer = "silent"
        if len(self.peer_s) > 1:
            slowest = max(self.peer_s) * 1000
            peer = f"p95 {p95(self.peer_s) * 1000:.0f} ms, slowest {slowest:.0f}, of {len(self.peer_s)}"
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


def assert_held(watch: Watch) -> None:
    """What must hold whatever a session does: bounded memory, and a peer that is answered."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[-1].removesuffix(" (call)")
    REPORT.append(f"{test}: {watch.told()}")
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
