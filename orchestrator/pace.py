"""How fast somebody may go on: a burst at full speed, then a steady rate, so that nobody stalls the others. No I/O."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """A bucket of units (bytes, requests, …) that fills at a steady rate; each thing takes its size and a fixed cost.

    `now` is the seconds of any clock, the same for all calls.
    """

    per_s: float
    burst: float
    cost: float = 0.0
    _level: float = 0.0
    _at: float = float("-inf")

    def charge(self, size: float, now: float) -> float:
        """Take a thing of this size out, and return the seconds to wait: whoever runs the bucket dry has to."""
        self._fill(now)
        self._level -= size + self.cost
        return max(0.0, -self._level / self.per_s)

    def allows(self, now: float) -> bool:
        """Take one unit out if there is one, and tell whether; what is not allowed costs nothing."""
        self._fill(now)
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def _fill(self, now: float) -> None:
        self._level = min(self.burst, self._level + (now - self._at) * self.per_s)
        self._at = now
