"""A process's resident memory, sampled while something else goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]

_EACH_S = 0.05
_MB = 2**20


class MemoryWatch:
    """Samples of one process in MB, and what it had before the first of them."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self._now()
        self.samples: list[float] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=(stop,), name="memory watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _sample_until(self, stop: threading.Event) -> None:
        while not stop.wait(_EACH_S):
            self.samples.append(self._now())

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / _MB
