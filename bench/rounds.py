"""Sides in turns, so that whatever else the host does meets all alike."""

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
    progress = Progress(name, warm_up + rounds)
    for _ in range(warm_up + rounds):
        ours.append(glovebox())
        floors.append(floor())
        progress.say_round()
    return ours[warm_up:], floors[warm_up:]


class Progress:
    """Says now and then which round it is."""

    def __init__(self, name: str, rounds: int) -> None:
        self._name = name
        self._rounds = rounds
        self._number = 0
        self._said_at = 0.0

    def say_round(self) -> None:
        """Count a round that is done."""
        self._number += 1
        if time.monotonic() - self._said_at > _SAID_EACH_S:
            self._said_at = time.monotonic()
            say(f"{self._name}: round {self._number} of {self._rounds}")
