"""Figures from samples: percentiles, and what a measurement is compared with. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


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
class Comparison:
    """One measurement of Glovebox beside its floor, from the same run."""

    name: str
    unit: str
    glovebox: Sequence[float]
    floor: Sequence[float]
    bound: float | None = None

    def figures(self) -> tuple[Figure, Figure]:
        """Return Glovebox's figures and the floor's."""
        return self._figure("glovebox", self.glovebox), self._figure("floor", self.floor)

    @property
    def ratio(self) -> float:
        """How many times its floor Glovebox's median is."""
        glovebox, floor = self.figures()
        return glovebox.p50 / floor.p50

    @property
    def broken(self) -> bool:
        """Whether the ratio is beyond the bound that was asked for."""
        return self.bound is not None and self.ratio > self.bound

    def _figure(self, who: str, samples: Sequence[float]) -> Figure:
        return Figure(self.name, who, self.unit, percentile(samples, 50), percentile(samples, 95), len(samples))


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
