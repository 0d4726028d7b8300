"""What a model can do, as the rest of the chat needs to know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A model's window in tokens, whether it calls tools and sees pictures, and how long a reply may be."""

    window: int = 128_000
    tools: bool = True
    vision: bool = False
    max_output: int | None = None
