"""What each person's sessions take on disk together, and who may add to it.

A session is counted anew only when it was used since; what a sleeping one takes does not change. So the sum costs a
look at one or two workspaces, however many somebody has.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from orchestrator.errors import DiskFull, TooManyRequests
from orchestrator.limits import DISK_QUOTA_COUNTED_S, MIB
from orchestrator.sessions.quota import QuotaOf
from orchestrator.sessions.session import LiveSession

SessionsOf = Callable[[str], Awaitable[Iterable[LiveSession]]]
Charge = Callable[[int], None]


class DiskQuota:
    """The disk of each person's sessions in total."""

    def __init__(self, quota_of: QuotaOf, sessions_of: SessionsOf) -> None:
        self._quota_of = quota_of
        self._sessions_of = sessions_of
        self._counted: dict[str, tuple[float, int]] = {}  # by session: when, in the loop's time, and bytes
        self._on_the_way: Counter[str] = Counter()  # bytes of each person's uploads that have not ended
        self._landed: Counter[str] = Counter()  # and of all that have

    async def used(self, owner: str) -> int:
        """Return how many bytes a person's sessions take."""
        return sum([await self._bytes_of(session) for session in await self._sessions_of(owner)])

    async def allow_session(self, owner: str) -> None:
        """Let a person make one more session.

        Raises:
            TooManyRequests: what they have takes all the disk that they may use.

        """
        most = await self._most(owner)
        if most is not None and await self.used(owner) >= most:
            detail = f"Your sessions take all of the {most // MIB:,} MiB that you may use. {_WAYS_OUT}"
            raise TooManyRequests(detail, retry_after_s=60, code="disk_quota")

    @asynccontextmanager
    async def upload(self, owner: str, session_id: str, expected: int | None) -> AsyncIterator[Charge]:
        """Count an upload while it lasts: the caller charges each chunk before it is written.

        Raises:
            DiskFull: it, with what else is on its way, is more than the person may use.

        """
        most = await self._most(owner)
        if most is None:
            yield lambda _: None
            return
        landed = self._landed[owner]
        ceiling = most - await self.used(owner) + landed
        charged = 0

        def room() -> int:
            return ceiling - self._landed[owner] - self._on_the_way[owner]

        def charge(count: int) -> None:
            nonlocal charged
            if count > room():
                detail = f"Of the {most // MIB:,} MiB that you may use, your sessions leave {max(room(), 0) // MIB:,}."
                raise DiskFull(f"{detail} {_WAYS_OUT}", code="disk_quota")
            self._on_the_way[owner] += count
            charged += count

        whole = False
        try:
            charge(expected or 0)  # a look ahead: charged is what comes
            self._on_the_way[owner] -= charged
            charged = 0
            yield charge
            whole = True
        finally:
            self._on_the_way[owner] -= charged
            self._landed[owner] += charged if whole else 0
            self._counted.pop(session_id, None)

    async def _most(self, owner: str) -> int | None:
        disk_mb = (await self._quota_of(owner)).disk_mb
        return None if disk_mb is None else disk_mb * MIB

    async def _bytes_of(self, session: LiveSession) -> int:
        now = asyncio.get_running_loop().time()
        counted_at, known = self._counted.get(session.id, (float("-inf"), 0))
        unchanged = counted_at > session.used_at and not session.in_use
        if unchanged or now - counted_at < DISK_QUOTA_COUNTED_S:
            return known
        found = await session.disk.used_bytes()
        self._counted[session.id] = (now, found)
        return found


_WAYS_OUT = "Delete files or sessions that you need no more; an admin can allow more."
