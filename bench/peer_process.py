"""A peer as the bench sees it: a process that is asked in JSON lines. It may fail in any way, and breaks nothing."""

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import PeerFailed
from bench.peers.catalogue import About
from bench.peers.shape import Settings

_REPOSITORY = Path(__file__).resolve().parent.parent
_READY_S = 120.0
_ANSWER_S = 120.0
_GRACE_S = 60.0


class PeerProcess:
    """One peer. Every call raises PeerFailed with the peer's own reason, also when it is gone or says nothing."""

    def __init__(self, about: About, process: "subprocess.Popen[str]") -> None:
        self.about = about
        self._process = process
        self._silent = False

    def wait_until_ready(self) -> None:
        """Wait until it has imported and prepared what it needs."""
        self._answer(_READY_S)

    def start(self, code: str, expected: str) -> float:
        """Get a sandbox, run its first cell, and return the seconds that both took."""
        return self._timed("start", code, expected)

    def run(self, code: str, expected: str) -> float:
        """Run another cell and return the seconds that it took."""
        return self._timed("run", code, expected)

    def close(self) -> None:
        """Let the sandbox go."""
        self._ask({"do": "close"})

    def _timed(self, what: str, code: str, expected: str) -> float:
        answer = self._ask({"do": what, "code": code})
        if answer["text"].strip() != expected:
            raise PeerFailed(f"the cell printed {answer['text'][:100]!r} instead of {expected!r}")
        return float(answer["seconds"])

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        assert self._process.stdin is not None
        if self._silent:
            raise PeerFailed("it does not answer any more")
        with suppress(BrokenPipeError):  # said below, as the end of its output
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer(_ANSWER_S)

    def _answer(self, patience_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        # One line is asked for at a time, so that none can wait in Python's own buffer.
        if not select.select([self._process.stdout], [], [], patience_s)[0]:
            self._silent = True
            raise PeerFailed(f"no answer within {patience_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailed(f"its process ended with {self._process.wait(_GRACE_S)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer


@contextmanager
def running_peer(python: Path, about: About, settings: Settings, log: Path) -> Iterator[PeerProcess]:
    """Keep a peer's process running; what it prints goes to a log file."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            [str(python), "-m", "bench.peers.serve", about.name, json.dumps(asdict(settings))],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
    try:
        yield PeerProcess(about, process)
    finally:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
