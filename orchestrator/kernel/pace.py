"""How fast a gateway may speak: a burst at full speed, then a steady rate, so that no session stalls the others."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """A bucket that fills at a steady rate. Each message takes its bytes and a fixed cost out of it.

    Whoever runs it dry has to wait; the waiting reader slows the gateway, and so the kernel, down. Nothing is dropped.
    """

    bytes_per_s: float
    burst_bytes: float
    message_cost: float
    _level: float = 0.0
    _at: float = float("-inf")

    def charge(self, size: int, now: float) -> float:
        """Take a message of `size` bytes at the time `now` (seconds of any clock); return the seconds to wait."""
        filled = self._level + (now - self._at) * self.bytes_per_s
        self._level = min(self.burst_bytes, filled) - size - self.message_cost
        self._at = now
        return max(0.0, -self._level / self.bytes_per_s)
