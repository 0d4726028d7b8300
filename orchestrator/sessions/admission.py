"""Who gets a sandbox when the host is full: promises of memory and CPU are counted, and whoever waits is served fairly.

A sandbox holds a seat from before its container starts until that is gone. What counts is what its profile *promises*:
a host that gave out more could not keep its word when all use it at once.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.config_quotas import Quota
from orchestrator.errors import SessionNotFound, TooManyRequests
from orchestrator.limits import QUEUE_MOST, QUEUE_RETRY_S, QUEUE_WAIT_S
from orchestrator.metrics import ADMISSIONS


@dataclass(frozen=True, slots=True)
class Room:
    """Memory in MiB and CPUs: what a host has, or a sandbox is promised."""

    memory_mb: float
    cpus: float

    def __add__(self, other: "Room") -> "Room":
        return Room(self.memory_mb + other.memory_mb, self.cpus + other.cpus)

    def holds(self, other: "Room") -> bool:
        """Tell whether there is room for that."""
        return other.memory_mb <= self.memory_mb and other.cpus <= self.cpus


NOTHING = Room(0, 0)


@dataclass(frozen=True, slots=True)
class Seat:
    """One sandbox's claim: whose it is, and how much."""

    session_id: str
    owner: str
    room: Room


@dataclass(slots=True, eq=False)
class Waiting:
    """Somebody in the queue; `tell` hears the place in it whenever that changes, counted from 1."""

    seat: Seat
    tell: Callable[[int], None]
    admitted: asyncio.Future[None]
    place: int = 0


@dataclass(slots=True)
class Admission:
    """The seats of one host. `make_room` ends the sandbox that can best be spared, and tells whether there was one."""

    capacity: Room
    make_room: Callable[[], Awaitable[bool]]
    _seats: dict[str, Seat] = field(default_factory=dict)
    _queue: list[Waiting] = field(default_factory=list)
    _clearing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def promised(self) -> Room:
        """What all sandboxes were promised."""
        return sum((seat.room for seat in self._seats.values()), NOTHING)

    def place(self, session_id: str) -> int | None:
        """Return a session's place in the queue, counted from 1, or None where it does not wait."""
        return next((one.place for one in self._queue if one.seat.session_id == session_id), None)

    def allows(self, seat: Seat, quota: Quota) -> str | None:
        """Return which of the owner's limits one more sandbox would break, in words, or None."""
        if seat.session_id in self._seats:
            return None
        theirs = [one for one in (*self._seats.values(), *(w.seat for w in self._queue)) if one.owner == seat.owner]
        wanted = sum((one.room for one in theirs), seat.room)
        if quota.sessions_running is not None and len(theirs) >= quota.sessions_running:
            return f"{quota.sessions_running} sandboxes at a time"
        if quota.memory_mb is not None and wanted.memory_mb > quota.memory_mb:
            return f"{quota.memory_mb:,} MiB of memory in all sandboxes"
        if quota.cpus is not None and wanted.cpus > quota.cpus:
            return f"{quota.cpus:g} CPUs in all sandboxes"
        return None

    def hold(self, seat: Seat) -> None:
        """Count a sandbox that runs already, whether there is room or not."""
        self._seats[seat.session_id] = seat

    def enter_if_free(self, seat: Seat) -> bool:
        """Take a seat if nobody waits and there is room; tell whether."""
        if self._queue or not self.capacity.holds(self.promised + seat.room):
            return False
        self.hold(seat)
        return True

    async def enter(self, seat: Seat, tell: Callable[[int], None]) -> None:
        """Take a seat, waiting for one where there is none.

        Raises:
            TooManyRequests: too many wait already, or no seat came free in time.
            SessionNotFound: the session was deleted meanwhile.

        """
        if seat.session_id in self._seats or self.enter_if_free(seat):
            ADMISSIONS.count("at_once")
            return
        if len(self._queue) >= QUEUE_MOST:
            ADMISSIONS.count("refused")
            raise _full("so many wait already that there is no place in the queue")
        waiting = Waiting(seat, tell, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._move_up()
        try:
            async with asyncio.timeout(QUEUE_WAIT_S):
                await waiting.admitted
        except TimeoutError:
            ADMISSIONS.count("refused")
            raise _full(f"none came free within {QUEUE_WAIT_S:.0f} s") from None
        except BaseException:
            if waiting.admitted.done() and not waiting.admitted.cancelled() and waiting.admitted.exception() is None:
                self.leave(seat.session_id)  # it was admitted and stopped waiting in the same moment
            raise
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)
                self._move_up()
        ADMISSIONS.count("waited")

    def leave(self, session_id: str) -> None:
        """Give a seat back; fine where there was none. Whoever is next gets it."""
        self._seats.pop(session_id, None)
        self._move_up()

    def give_up(self, session_id: str) -> None:
        """End the waiting of a session that is being deleted."""
        for waiting in self._queue:
            if waiting.seat.session_id == session_id and not waiting.admitted.done():
                waiting.admitted.set_exception(SessionNotFound(session_id))

    def _move_up(self) -> None:
        """Admit whom there is room for, tell the others their places, and see to it that room is made for them."""
        while (order := self._order()) and self.capacity.holds(self.promised + order[0].seat.room):
            self._queue.remove(order[0])
            self.hold(order[0].seat)
            order[0].admitted.set_result(None)
        for place, waiting in enumerate(order, 1):
            if waiting.place != place:
                waiting.place = place
                waiting.tell(place)
        if order and (self._clearing is None or self._clearing.done()):
            self._clearing = asyncio.create_task(self._clear(), name="room for sandboxes")

    async def _clear(self) -> None:
        while self._queue:
            if not await self.make_room():
                await asyncio.sleep(QUEUE_RETRY_S)  # all are busy, or were used a moment ago
            self._move_up()

    def _order(self) -> list[Waiting]:
        """Return the queue in the order of service: whoever has the fewest seats first, then who came first."""
        left = [one for one in self._queue if not one.admitted.done()]
        seats = Counter(seat.owner for seat in self._seats.values())
        order: list[Waiting] = []
        while left:
            following = min(left, key=lambda one: seats[one.seat.owner])  # of equals, the first
            left.remove(following)
            order.append(following)
            seats[following.seat.owner] += 1
        return order


def _full(why: str) -> TooManyRequests:
    detail = f"All sandboxes of this host are busy, and {why}. Try again in a minute."
    return TooManyRequests(detail, retry_after_s=60, code="host_full")
