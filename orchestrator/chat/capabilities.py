"""What a model can do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Capabilities:
    """What a model can do; the defaults are of one that nothing is known of."""

    window: int = 128_000
    tools: bool = True
    vision: bool = False
    max_output: int | None = None
