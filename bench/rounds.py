"""Glovebox and its floor in turns, so that whatever else the host does meets both alike."""

import time
from collections.abc import Callable

from bench.progress import say

_SAID_EACH_S = 5.0


def in_turns(
    name: str, rounds: int, glovebox: Callable[[], float], floor: Callable[[], float], *, warm_up: int
) -> tuple[list[float], list[float]]:
    """Return the samples of both; the first `warm_up` rounds fill caches and are not counted."""
    ours: list[float] = []
    floors: list[float] = []
    said_at = 0.0
    for number in range(warm_up + rounds):
        ours.append(glovebox())
        floors.append(floor())
        if time.monotonic() - said_at > _SAID_EACH_S:
            said_at = time.monotonic()
            say(f"{name}: round {number + 1} of {warm_up + rounds}")
    return ours[warm_up:], floors[warm_up:]
