"""Telling whoever watches a session that something was done to it: so two pages on one session stay in step.

What is done elsewhere (a script, another process) is found out by asking now and then; see following.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Nudges:
    """Who waits for news of which session."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def nudge(self, session: str) -> None:
        """Wake all who wait for news of this session."""
        for waiting in self._waiting.get(session, ()):
            waiting.set()

    async def wait(self, session: str, seconds: float) -> bool:
        """Wait for news, but no longer than so many seconds; tell whether there are any."""
        news = asyncio.Event()
        self._waiting[session].add(news)
        try:
            await asyncio.wait_for(news.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting[session].discard(news)
            if not self._waiting[session]:
                del self._waiting[session]
        return True
