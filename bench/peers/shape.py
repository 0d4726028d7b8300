"""What a peer is to the bench: it gets a sandbox with its first cell, runs further cells, and lets the sandbox go."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Settings:
    """What all peers are given alike: the image they start, the limits of Glovebox's profile, a label to find them by.

    `image` only waits; `gateway_image` is the same with a Jupyter kernel gateway as its command.
    """

    image: str
    gateway_image: str
    label: str
    value: str
    cpus: float
    memory_mb: int

    def for_the_engine(self) -> dict[str, object]:
        """Return limits and label as the engine's Python client names them."""
        return {
            "labels": {self.label: self.value},
            "nano_cpus": int(self.cpus * 1e9),
            "mem_limit": f"{self.memory_mb}m",
        }

    def for_the_command_line(self) -> list[str]:
        """Return limits and label as flags of `docker run`."""
        return [f"--label={self.label}={self.value}", f"--cpus={self.cpus:g}", f"--memory={self.memory_mb}m"]


class Peer(Protocol):
    """One peer. Each call returns when its effect can be seen; a cell's is what it printed."""

    def start(self, code: str) -> str:
        """Get a sandbox, run its first cell and return what that printed."""

    def run(self, code: str) -> str:
        """Run another cell in the same sandbox."""

    def close(self) -> None:
        """Let the sandbox go."""

    def end(self) -> None:
        """Let everything go that outlives a sandbox."""
