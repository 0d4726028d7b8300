"""What the orchestrator adds on the model's side: from a provider's chunk to a watcher, from a call to its cell."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2

from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.provider import CELL, MODEL, WORDS, Provider, running_provider
from bench.rounds import Progress, in_turns
from bench.stack import Stack

_TURNS, _QUICK_TURNS = 5, 2
_CELLS, _QUICK_CELLS = 50, 20
_WARM_UP = 3
_BOUND = Bound("p95_at_most", 20)


def measure_provider_delay(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `provider_delay`: the provider streams the time, and whoever hears it looks at the same clock."""
    session = stack.api.make_session()
    ours: list[float] = []
    floors: list[float] = []
    turns = _QUICK_TURNS if quick else _TURNS
    progress = Progress("provider_delay", turns)
    with running_provider(stack.provider_port) as provider:
        for _ in range(turns):
            ours += [_late(event["text"]) for event in _turn(stack, session, WORDS) if event["type"] == "text_delta"]
            floors += [_late(told) for told in _asked_directly(provider, WORDS) if told]
            progress.say_round()
    stack.api.delete_session(session)
    if len(ours) != len(floors):
        raise WrongResult(f"of {len(floors)} pieces of text {len(ours)} came")
    return [Comparison("provider_delay", "ms", ours, floors, _BOUND)]


def measure_call_to_cell(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `call_to_cell`: from the last piece of a call to the event that its cell runs."""
    session = stack.api.make_session()
    with running_provider(stack.provider_port) as provider:

        def glovebox() -> float:
            began = 0.0
            for event in _turn(stack, session, CELL):
                if event["type"] == "cell_started":
                    began = time.time()
            if not began:
                raise WrongResult("no cell was run")
            return (began - provider.call_was_whole_at) * 1000

        def floor() -> float:
            for _ in _asked_directly(provider, CELL):
                pass
            return (time.time() - provider.call_was_whole_at) * 1000

        rounds = _QUICK_CELLS if quick else _CELLS
        samples = in_turns("call_to_cell", rounds, glovebox, floor, warm_up=_WARM_UP)
    stack.api.delete_session(session)
    return [Comparison("call_to_cell", "ms", *samples, _BOUND)]


def _turn(stack: Stack, session: str, content: str) -> Iterator[dict[str, Any]]:
    """Say something, and yield the turn's events as they arrive."""
    last: dict[str, Any] = {}
    for event in stack.api.say(session, content, MODEL):
        last = event
        yield event
    if last.get("status") != "done":
        raise WrongResult(f"a turn ended with {last}")


def _asked_directly(provider: Provider, content: str) -> Iterator[str]:
    """Ask the provider without a Glovebox, and yield the text of its chunks as they arrive."""
    body = {"messages": [{"role": "user", "content": content}]}
    with httpx2.stream("POST", provider.url, json=body, trust_env=False) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line[6:])["choices"][0]["delta"].get("content") or ""


def _late(told: str) -> float:
    return (time.time() - float(told)) * 1000
