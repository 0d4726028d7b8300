"""`python -m bench.peers.serve NAME SETTINGS`: one peer as a process that is asked in JSON lines.

It says `{"ready": true}` first. Each request `{"do": "start"|"run"|"close", "code": …}` is answered by one line,
`{"seconds": …, "text": …}`: how long the peer's own call took, timed here, and what the cell printed. Whatever fails is
answered as `{"error": …}`.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from bench.peers.catalogue import about
from bench.peers.shape import Peer, Settings


def main(name: str, settings: str) -> None:
    """Serve until there is nothing more to read."""
    answers = _own_stdout()
    known = about(name)
    try:
        peer: Peer = getattr(importlib.import_module(known.module), known.maker)(Settings(**json.loads(settings)))
    except Exception as error:
        _say(answers, {"error": _told(error)})
        return
    _say(answers, {"ready": True})
    try:
        for line in sys.stdin:
            _say(answers, _answer(peer, json.loads(line)))
    finally:
        peer.end()


def _answer(peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
    calls: dict[str, Callable[[], str | None]] = {
        "start": lambda: peer.start(asked["code"]),
        "run": lambda: peer.run(asked["code"]),
        "close": peer.close,
    }
    began = time.perf_counter()
    try:
        text = calls[asked["do"]]()
    except Exception as error:
        return {"error": _told(error)}
    return {"seconds": time.perf_counter() - began, "text": text or ""}


def _own_stdout() -> TextIO:
    """Return stdout for the answers alone; what a peer prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    main(*sys.argv[1:])
