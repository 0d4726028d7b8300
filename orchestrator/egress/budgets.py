"""How much of the network one session may use: limits, and what is used up. No I/O."""

from dataclasses import dataclass

from orchestrator.limits import KIB, MIB


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """What one session's proxy allows itself to be used for; times in seconds."""

    connections: int = 32  # at once; more wait in the listener's own queue, which costs us nothing
    # Each request is recorded for ever: at this pace a session that only means to fill the audit log gets 50 MB a day.
    requests_burst: int = 500
    requests_per_s: float = 2.0
    head_bytes: int = 16 * KIB
    head_s: float = 10.0  # to send the request's head, and in a tunnel the TLS hello
    lookup_s: float = 10.0
    lookups: int = 2  # at once: a slow name server must not take the threads of other sessions
    connect_s: float = 10.0
    idle_s: float = 60.0
    total_s: float = 3600.0  # of one request or tunnel
    bytes_up: int = 64 * MIB  # of all requests together
    bytes_down: int = 4096 * MIB


class BudgetSpent(Exception):
    """The session has moved as many bytes as it may."""


@dataclass(slots=True)
class Usage:
    """Bytes that a session has moved so far. Keep it across proxies, and a restart of the sandbox resets nothing."""

    bytes_up: int = 0
    bytes_down: int = 0

    def check(self, limits: EgressLimits) -> None:
        """Raise BudgetSpent where nothing may be moved any more."""
        if self.bytes_up >= limits.bytes_up or self.bytes_down >= limits.bytes_down:
            raise BudgetSpent

    def charge_up(self, count: int, limits: EgressLimits) -> None:
        """Count bytes that are about to be sent out; raise BudgetSpent where they must not be."""
        self.bytes_up += count
        if self.bytes_up > limits.bytes_up:
            raise BudgetSpent

    def charge_down(self, count: int, limits: EgressLimits) -> None:
        """Count bytes that are about to be handed to the sandbox; raise BudgetSpent where they must not be."""
        self.bytes_down += count
        if self.bytes_down > limits.bytes_down:
            raise BudgetSpent
