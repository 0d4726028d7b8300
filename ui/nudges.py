"""Telling whoever watches a session that something was done to it: so two pages on one session stay in step.

What is done elsewhere (a script, another process) is found out by asking; see following.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Nudges:
    """Who waits for news of which session."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def nudge(self, session: str) -> None:
        """Wake all who wait for news of this session."""
        for waiting in self._waiting.get(session, ()):
            waiting.set()

    @contextmanager
    def listening(self, session: str) -> Iterator[asyncio.Event]:
        """Listen for news of a session: the event is set at any, also at those that come while nobody waits for it."""
        news = asyncio.Event()
        self._waiting[session].add(news)
        try:
            yield news
        finally:
            self._waiting[session].discard(news)
            if not self._waiting[session]:
                del self._waiting[session]
