"""The warm pool (decision 5): sessions that nobody owns yet, whose kernels are up and have imported the big libraries.

Each has a row, a uid, a folder and a container of its own from the start, as every session has. Whoever asks for a
session becomes the owner of one, by one write to the row: nothing is moved, renamed or mounted anew, and no sandbox
ever serves a second session.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from orchestrator.errors import GloveboxError
from orchestrator.limits import POOL_DEMAND_S, POOL_PAUSE_S, POOL_RETRY_S
from orchestrator.sessions.session import LiveSession

log = structlog.get_logger()


@dataclass(slots=True)
class Demand:
    """How many sandboxes of one profile should wait: what the config says, and one more for each recent session."""

    least: int
    most: int
    _asked_at: deque[float] = field(default_factory=deque)

    def note(self, now: float) -> None:
        """Note that somebody made a session."""
        self._asked_at.append(now)

    def wanted(self, now: float) -> int:
        """Return how many should wait now."""
        while self._asked_at and now - self._asked_at[0] > POOL_DEMAND_S:
            self._asked_at.popleft()
        return min(self.most, self.least + len(self._asked_at))


class WarmPool:
    """Warm sessions of each profile. `make` makes one whole, `drop` ends one, `is_quiet` says when there is time."""

    def __init__(
        self,
        sizes: Mapping[str, tuple[int, int]],
        make: Callable[[str], Awaitable[LiveSession]],
        drop: Callable[[LiveSession], Coroutine[Any, Any, None]],
        is_quiet: Callable[[], bool],
    ) -> None:
        self._make = make
        self._drop = drop
        self._is_quiet = is_quiet
        self._demand = {profile: Demand(least, most) for profile, (least, most) in sizes.items()}
        self._waiting: defaultdict[str, deque[LiveSession]] = defaultdict(deque)
        self._retry_at: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._dropping: set[asyncio.Task[None]] = set()

    def count(self) -> dict[str, int]:
        """Return how many wait, by profile."""
        return {profile: len(self._waiting[profile]) for profile in self._demand}

    def take(self, profile: str) -> LiveSession | None:
        """Return a warm session of this profile that is nobody else's from now on, or None."""
        now = asyncio.get_running_loop().time()
        self._demand[profile].note(now)
        self._changed.set()
        waiting = self._waiting[profile]
        while waiting:
            session = waiting.popleft()
            if session.sandbox.running:
                return session
            self._let_go(session)
        return None

    async def give_way(self) -> bool:
        """End one that waits, since somebody needs its place; tell whether there was one."""
        for waiting in self._waiting.values():
            if waiting:
                await self._drop(waiting.popleft())
                return True
        return False

    async def keep_filled(self) -> None:
        """Make what is missing, one at a time and when nobody waits for anything else; end what is too much. For ever.

        A session was just taken: its first cell comes first.
        """
        while True:
            self._changed.clear()
            profile = self._next()
            if profile is None:
                self._trim()
                try:
                    async with asyncio.timeout(POOL_DEMAND_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue
            await asyncio.sleep(POOL_PAUSE_S)
            if profile is not None and self._is_quiet():
                await self._add(profile)

    async def close(self) -> None:
        """Let go of all connections. The containers are ended at the next start: they may be out of date by then."""
        for task in self._dropping:
            task.cancel()
        await asyncio.gather(*self._dropping, return_exceptions=True)
        await asyncio.gather(*(session.sandbox.close() for session in self._all()))

    def _next(self) -> str | None:
        """Return a profile that has fewer waiting than it should."""
        now = asyncio.get_running_loop().time()
        for profile, demand in self._demand.items():
            if now >= self._retry_at.get(profile, now) and len(self._waiting[profile]) < demand.wanted(now):
                return profile
        return None

    async def _add(self, profile: str) -> None:
        try:
            self._waiting[profile].append(await self._make(profile))
        except Exception as error:  # whatever it is, it concerns nobody but the pool
            reason = error.detail if isinstance(error, GloveboxError) else repr(error)
            log.warning("no warm sandbox", profile=profile, reason=reason)
            self._retry_at[profile] = asyncio.get_running_loop().time() + POOL_RETRY_S

    def _trim(self) -> None:
        now = asyncio.get_running_loop().time()
        for profile, demand in self._demand.items():
            while len(self._waiting[profile]) > demand.wanted(now):
                self._let_go(self._waiting[profile].popleft())

    def _let_go(self, session: LiveSession) -> None:
        task = asyncio.create_task(self._drop(session), name=f"drop warm {session.id}")
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    def _all(self) -> Iterable[LiveSession]:
        return (session for waiting in self._waiting.values() for session in waiting)
