"""What one person may use: limits of the config by role and by name, and the pace of their cells."""

from collections.abc import Awaitable, Callable

from orchestrator.config_quotas import Quota
from orchestrator.errors import TooManyRequests
from orchestrator.pace import Pace

QuotaOf = Callable[[str], Awaitable[Quota]]


class CellPaces:
    """How fast each person runs cells."""

    def __init__(self) -> None:
        self._paces: dict[str, tuple[int, Pace]] = {}

    def note(self, owner: str, quota: Quota, now: float) -> None:
        """Count a cell at this time (seconds of any clock).

        Raises:
            TooManyRequests: it is one too many.

        """
        most = quota.cells_per_minute
        if most is None:
            return
        if self._paces.get(owner, (None, None))[0] != most:
            self._paces[owner] = (most, Pace(most / 60, most))
        if not self._paces[owner][1].allows(now):
            detail = f"You may run {most} cells a minute. Wait a moment, then go on; an admin can allow more."
            raise TooManyRequests(detail, retry_after_s=60 / most, code="cells_per_minute")


def refused(limit: str) -> TooManyRequests:
    """Return the refusal of one more sandbox."""
    detail = f"You may use {limit}, and those you have are busy. Wait for one, or stop it; an admin can allow more."
    return TooManyRequests(detail, retry_after_s=30, code="quota_reached")
