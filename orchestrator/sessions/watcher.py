"""Who waits for a sandbox, and what they are told meanwhile."""

from typing import Protocol

from orchestrator.sessions.variables import Report


class Watcher(Protocol):
    """Whoever waits for a sandbox, and may tell about it."""

    def starting(self) -> None:
        """Hear that there is none yet, and one is being started."""

    def queued(self, place: int) -> None:
        """Hear that the host is full, and at which place in the queue the session is, counted from 1."""

    def woken(self, report: Report) -> None:
        """Hear what became of the variables that were kept when it fell asleep."""


class Nobody:
    """A watcher that nothing needs to be told."""

    def starting(self) -> None:
        """Do nothing."""

    def queued(self, place: int) -> None:
        """Do nothing."""

    def woken(self, report: Report) -> None:
        """Do nothing."""
