"""How often a password may be tried: a few times at once, then ever more slowly. No I/O."""

from collections import OrderedDict
from dataclasses import dataclass

PAUSE_S = 2.0
FORGOTTEN_AFTER_S = 900.0
_MOST_KEYS = 10_000  # names and addresses: whoever invents more makes the oldest be forgotten


@dataclass(slots=True)
class _Tries:
    failed: int
    last_at: float


class Attempts:
    """Failed tries by a key, which is a name or an address; times in seconds of one clock."""

    def __init__(self, free: int, longest_pause_s: float) -> None:
        self._free = free
        self._longest_pause_s = longest_pause_s
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Return how long this key has to wait before its next try is looked at."""
        tries = self._tries.get(key)
        if tries is None or tries.failed < self._free:
            return 0.0
        pause = min(self._longest_pause_s, PAUSE_S * 2.0 ** min(tries.failed - self._free, 20))
        return max(0.0, tries.last_at + pause - now)

    def failed(self, key: str, now: float) -> None:
        """Note a failed try."""
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last_at > FORGOTTEN_AFTER_S:
            tries = _Tries(0, now)
        self._tries[key] = _Tries(tries.failed + 1, now)
        while len(self._tries) > _MOST_KEYS:
            self._tries.popitem(last=False)

    def taken_back(self, key: str) -> None:
        """Take back one failed try: it was none."""
        if (tries := self._tries.get(key)) is not None:
            tries.failed = max(0, tries.failed - 1)

    def forget(self, key: str) -> None:
        """Forget what failed before."""
        self._tries.pop(key, None)
