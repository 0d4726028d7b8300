"""What counters and timings are made of. A label's values are few, whoever sends what.

Each label's values are named beforehand, or grow by first use up to a bound; all beyond it are counted as "other".
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

OTHER = "other"
_MOST_VALUES = 100
REGISTRY = CollectorRegistry()  # not the library's global one, where any import may add its own
ProcessCollector(registry=REGISTRY)


class Label:
    """One label, and which values it may take."""

    def __init__(self, name: str, values: Iterable[str] = (), *, grows: bool = False) -> None:
        self.name = name
        self.named = tuple(values)
        self._known = set(self.named)
        self._grows = grows

    def bounded(self, value: str) -> str:
        """Return the value that is counted for this one."""
        if value in self._known:
            return value
        if not self._grows or len(self._known) >= _MOST_VALUES:
            return OTHER
        self._known.add(value)
        return value


class Tally:
    """A counter of one kind of event, told apart by at most one label."""

    def __init__(
        self, name: str, about: str, label: str | None = None, values: Iterable[str] = (), *, grows: bool = False
    ) -> None:
        self._name = name
        self._label = Label(label, values, grows=grows) if label else None
        self._counter = Counter(name, about, [label] if label else [], registry=REGISTRY)
        for value in self._label.named if self._label else ():
            self._counter.labels(value)

    def count(self, value: str = "", amount: float = 1) -> None:
        """Count events; `value` is the label's."""
        counter = self._counter if self._label is None else self._counter.labels(self._label.bounded(value))
        counter.inc(amount)

    def read(self, value: str = "") -> float:
        """Return what was counted since the process began."""
        labels = {self._label.name: value} if self._label else {}
        return REGISTRY.get_sample_value(f"{self._name}_total", labels) or 0.0


class TallyByMany:
    """A counter that is told apart by several labels, each of them bounded."""

    def __init__(self, name: str, about: str, *labels: Label) -> None:
        self._name = name
        self._labels = labels
        self._counter = Counter(name, about, [label.name for label in labels], registry=REGISTRY)

    def count(self, *values: str, amount: float = 1) -> None:
        """Count events; the values are the labels', in their order."""
        bounded = [label.bounded(value) for label, value in zip(self._labels, values, strict=True)]
        self._counter.labels(*bounded).inc(amount)

    def read(self, *values: str) -> float:
        """Return what was counted since the process began."""
        labels = {label.name: value for label, value in zip(self._labels, values, strict=True)}
        return REGISTRY.get_sample_value(f"{self._name}_total", labels) or 0.0


class Timing:
    """A histogram of seconds, told apart by one label."""

    def __init__(
        self,
        name: str,
        about: str,
        label: str,
        values: Iterable[str] = (),
        *,
        grows: bool = False,
        buckets: tuple[float, ...],
    ) -> None:
        self._name = name
        self._label = Label(label, values, grows=grows)
        self._histogram = Histogram(name, about, [label], buckets=buckets, registry=REGISTRY)
        # By value: the library takes a lock to find the same one again.
        self._of = {value: self._histogram.labels(value) for value in self._label.named}

    def observe(self, value: str, seconds: float) -> None:
        """Note that something took so many seconds; `value` is the label's."""
        histogram = self._of.get(value)
        if histogram is None:
            bounded = self._label.bounded(value)
            histogram = self._of[bounded] = self._histogram.labels(bounded)
        histogram.observe(seconds)

    @contextmanager
    def timed(self, value: str) -> Iterator[None]:
        """Note how many seconds the block takes, also when it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(value, time.perf_counter() - began)

    def read(self, value: str) -> tuple[float, float]:
        """Return how many were noted since the process began, and their seconds together."""
        labels = {self._label.name: value}
        number, seconds = (REGISTRY.get_sample_value(f"{self._name}_{part}", labels) for part in ("count", "sum"))
        return number or 0.0, seconds or 0.0
