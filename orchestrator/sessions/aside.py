"""What the orchestrator wants to know of a workspace, asked in its sandbox: code of ours beside the cells. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASIDE_SLACK_S = 2.0  # for a kernel that is slow to begin


@dataclass(frozen=True, slots=True)
class Aside:
    """A question to a module of the sandbox's image; what it answers is hostile, and bounded by `chars`."""

    module: str
    request: Mapping[str, Any]
    most_s: float
    chars: int

    def code(self) -> str:
        """Return the code that asks it, and leaves no name behind."""
        told = json.dumps(dict(self.request))
        return f'__import__("glovebox_aside").run({self.module!r}, {told!r}, {self.most_s:g}, {self.chars:d})'
