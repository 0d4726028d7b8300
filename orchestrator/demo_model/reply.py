"""What the demo model answers: text and tool calls, or a refusal with an HTTP status."""

import json
from dataclasses import dataclass
from typing import Literal

TOOL = "run_python"


@dataclass(frozen=True)
class Call:
    """One tool call; the arguments are JSON text, as on the wire."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Reply:
    """One assistant message, and how its stream goes."""

    text: str
    calls: tuple[Call, ...] = ()
    ending: Literal["whole", "cut", "error"] = "whole"
    # Seconds between two pieces of the stream; None leaves it to the server.
    pace_s: float | None = None


@dataclass(frozen=True)
class Refusal:
    """An error in place of an answer."""

    status: int
    message: str
    kind: str
    code: str | None = None


def run(code: str) -> tuple[Call, ...]:
    """Return the one call that runs a cell with this code."""
    return (Call(TOOL, json.dumps({"code": code}, ensure_ascii=False)),)
