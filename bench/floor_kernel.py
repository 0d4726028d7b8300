"""The floor of a cell: the same cell over ZeroMQ inside a bare container, without gateway and orchestrator."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import CannotMeasure
from bench.floor_sandbox import running_floor
from bench.stack import Stack
from orchestrator.spawner.container import WORKSPACE

_SCRIPT = Path(__file__).with_name("inside_sandbox.py")
_GRACE_S = 10


@dataclass(frozen=True, slots=True)
class FloorCell:
    """What a cell took and showed; times are the host's clock."""

    seconds: float
    first_text: str | None
    first_text_at: float
    lines: int


class FloorKernel:
    """A kernel in a bare container, and the script there that runs cells on it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, code: str) -> FloorCell:
        """Run a cell.

        Raises:
            CannotMeasure: the script has ended.

        """
        return FloorCell(**self._ask({"code": code}))

    def run_for(self, code: str, seconds: float) -> int:
        """Run a cell again and again for some seconds and return how often it ran. Raises as `run` does."""
        return int(self._ask({"code": code, "for_s": seconds})["ran"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # said below, as the end of its output
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise CannotMeasure("the script in the bare container ended; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_floor_kernel(stack: Stack) -> Iterator[FloorKernel]:
    """Keep such a kernel running, in a container of its own."""
    with running_floor(stack) as floor:
        shutil.copy(_SCRIPT, floor.workspace)
        (floor.workspace / _SCRIPT.name).chmod(0o644)
        user = f"--user={floor.uid}:{floor.uid}"
        python = ["/opt/python/bin/python", "-I", f"{WORKSPACE}/{_SCRIPT.name}"]
        with subprocess.Popen(
            ["docker", "exec", "--interactive", user, floor.name, *python],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield FloorKernel(process)
            finally:
                assert process.stdin is not None
                with suppress(BrokenPipeError):
                    process.stdin.close()
                try:
                    process.wait(_GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
