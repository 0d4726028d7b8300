"""The seats of this host's sandboxes: what people may use, what the host has, and who gives way when it is full."""

import asyncio
from collections.abc import Awaitable, Callable

from orchestrator.config import Profile
from orchestrator.metrics import ADMISSIONS
from orchestrator.sessions.admission import Admission, Room, Seat
from orchestrator.sessions.quota import CellPaces, QuotaOf, refused
from orchestrator.store.sessions import NOBODY


class Seats:
    """Admission to the host, within each person's quota. `spare` ends the best of an owner's (None: of all)."""

    def __init__(self, capacity: Room, quota_of: QuotaOf, spare: Callable[[str | None], Awaitable[bool]]) -> None:
        self._quota_of = quota_of
        self._spare = spare
        self._admission = Admission(capacity, lambda: spare(None))
        self._paces = CellPaces()

    @property
    def waiting(self) -> int:
        """How many sessions wait for a sandbox."""
        return self._admission.waiting

    @property
    def capacity(self) -> Room:
        """What all sandboxes may be promised."""
        return self._admission.capacity

    @property
    def promised(self) -> Room:
        """What all sandboxes were promised."""
        return self._admission.promised

    def place(self, session_id: str) -> int | None:
        """Return a session's place in the queue, counted from 1, or None where it does not wait."""
        return self._admission.place(session_id)

    async def take(self, owner: str, session_id: str, profile: Profile, tell: Callable[[int], None]) -> None:
        """Take a seat for a sandbox that is about to start; `tell` hears the place in the queue.

        Nobody's sandboxes, which wait in the pool, take no seat that somebody could want.

        Raises:
            TooManyRequests: the owner has too many, or the host has been full for too long.

        """
        seat = _seat(owner, session_id, profile)
        if owner == NOBODY:
            if not self._admission.enter_if_free(seat):
                raise refused("what is free")
            return
        quota = await self._quota_of(owner)
        while (limit := self._admission.allows(seat, quota)) is not None:
            if not await self._spare(owner):
                ADMISSIONS.count("over_quota")
                raise refused(limit)
        await self._admission.enter(seat, tell)

    async def allow(self, owner: str, profile: Profile) -> bool:
        """Tell whether an owner's quota allows one more sandbox of this profile."""
        return self._admission.allows(_seat(owner, "", profile), await self._quota_of(owner)) is None

    def hold(self, owner: str, session_id: str, profile: Profile) -> None:
        """Count a sandbox that runs already."""
        self._admission.hold(_seat(owner, session_id, profile))

    def leave(self, session_id: str) -> None:
        """Give a seat back; fine where there was none."""
        self._admission.leave(session_id)

    def give_up(self, session_id: str) -> None:
        """End the waiting of a session that is being deleted."""
        self._admission.give_up(session_id)

    async def note_cell(self, owner: str) -> None:
        """Count a cell of this owner. Raises TooManyRequests for one too many."""
        self._paces.note(owner, await self._quota_of(owner), asyncio.get_running_loop().time())


def _seat(owner: str, session_id: str, profile: Profile) -> Seat:
    return Seat(session_id, owner, Room(profile.memory_mb, profile.cpus))
