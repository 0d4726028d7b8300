"""One GiB in and out by the API, beside `cp` of the same file; and the orchestrator's memory meanwhile."""

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.client import CHUNK_BYTES
from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.memory import MemoryWatch
from bench.progress import say
from bench.stack import Stack

_BYTES = 2**30
_ROUNDS, _QUICK_ROUNDS = 3, 1
_BOUND = Bound("times", 4)
_NAME = "payload.bin"


def measure_transfers(stack: Stack, *, quick: bool) -> list[Comparison]:
    """Measure `upload_1g`, `download_1g` and `orchestrator_rss`."""
    payload, copied, fetched = (stack.folder / name for name in (_NAME, "copied.bin", "fetched.bin"))
    digest = _make_random_file(payload)
    uploads: list[float] = []
    downloads: list[float] = []
    copies_in: list[float] = []
    copies_out: list[float] = []
    session = stack.api.make_session()
    _warm_up(stack, session)
    memory = MemoryWatch(stack.orchestrator_pid)
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    for number in range(rounds):
        say(f"upload_1g, download_1g: round {number + 1} of {rounds}")
        with memory.watching():
            uploads.append(_timed(lambda: stack.api.upload(session, _NAME, payload)))
        copies_in.append(_timed(lambda: _copy(payload, copied)))
        copied.unlink()
        with memory.watching():
            downloads.append(_timed(lambda: stack.api.download(session, _NAME, fetched)))
        copies_out.append(_timed(lambda: _copy(payload, copied)))
        if _digest(fetched) != digest:
            raise WrongResult("the file that came back is not the file that was sent")
        copied.unlink()
        fetched.unlink()
        stack.api.delete_file(session, _NAME)
    payload.unlink()
    stack.api.delete_session(session)
    return [
        Comparison("upload_1g", "s", uploads, copies_in, _BOUND),
        Comparison("download_1g", "s", downloads, copies_out, _BOUND),
        Comparison("orchestrator_rss", "MB", memory.samples, [memory.before]),
    ]


def _timed(work: Callable[[], None]) -> float:
    # What was written before is put on disk first, so that nobody pays for somebody else's writes.
    os.sync()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _copy(source: Path, target: Path) -> None:
    # A file system that can share blocks between files would copy nothing at all.
    subprocess.run(["cp", "--reflink=never", str(source), str(target)], check=True)


def _warm_up(stack: Stack, session: str) -> None:
    """Move a small file both ways: what the orchestrator loads at first use is no growth of a transfer."""
    small = stack.folder / "small.bin"
    small.write_bytes(os.urandom(4 * CHUNK_BYTES))
    stack.api.upload(session, small.name, small)
    stack.api.download(session, small.name, small)
    stack.api.delete_file(session, small.name)


def _make_random_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(_BYTES // CHUNK_BYTES):
            chunk = os.urandom(CHUNK_BYTES)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
