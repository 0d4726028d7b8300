"""Figures from samples: percentiles, and what a measurement is compared with. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """The figures of one side of a measurement."""

    name: str
    who: str
    unit: str
    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class Bound:
    """What was asked of a measurement.

    `times`: Glovebox's median is at most so many times the other side's. `quicker`: the other side's is at least so
    many times Glovebox's. `at_most`: Glovebox's median itself, in the measurement's unit; `p95_at_most`: its p95.
    """

    kind: Literal["times", "quicker", "at_most", "p95_at_most"]
    value: float

    def __str__(self) -> str:
        match self.kind:
            case "times":
                return f"<= {self.value:g}x"
            case "quicker":
                return f"{self.value:g}x quicker"
            case "at_most":
                return f"<= {self.value:g}"
            case "p95_at_most":
                return f"p95 <= {self.value:g}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measurement of Glovebox beside another side's from the same run: its floor, a peer, or nobody."""

    name: str
    unit: str
    glovebox: Sequence[float]
    beside: Sequence[float] = ()
    bound: Bound | None = None
    who: str = "floor"
    notes: Sequence[str] = field(default=())

    @property
    def figure(self) -> Figure:
        """Glovebox's figures."""
        return self._figure("glovebox", self.glovebox)

    @property
    def other(self) -> Figure | None:
        """The other side's figures, if there is one."""
        return self._figure(self.who, self.beside) if self.beside else None

    @property
    def ratio(self) -> float | None:
        """How many times the other side's median Glovebox's is."""
        return None if self.other is None else self.figure.p50 / self.other.p50

    @property
    def broken(self) -> bool:
        """Whether the bound that was asked for is not kept."""
        if self.bound is None:
            return False
        if self.bound.kind == "at_most":
            return self.figure.p50 > self.bound.value
        if self.bound.kind == "p95_at_most":
            return self.figure.p95 > self.bound.value
        if self.other is None:
            return True
        if self.bound.kind == "times":
            return self.figure.p50 > self.bound.value * self.other.p50
        return self.figure.p50 * self.bound.value > self.other.p50

    def _figure(self, who: str, samples: Sequence[float]) -> Figure:
        return Figure(self.name, who, self.unit, percentile(samples, 50), percentile(samples, 95), len(samples))


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A figure that could not be had, and why. `asked` says whether it was asked for: then it counts as missed."""

    name: str
    who: str
    why: str
    asked: bool = False

    @property
    def broken(self) -> bool:
        """Whether something that was asked for is missing."""
        return self.asked


Measured = Comparison | NotMeasured


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return a percentile, interpolated between the two samples around it.

    Raises:
        ValueError: there are no samples.

    """
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    position = (len(ordered) - 1) * percent / 100
    below, above = math.floor(position), math.ceil(position)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
