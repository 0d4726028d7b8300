"""Code of ours that looks at a workspace for the orchestrator, as a process of its own beside the kernel.

So it can neither take the kernel's memory nor leave anything in it, and it ends when its time is over. What it prints
is printed by the kernel, for whoever asked: the orchestrator takes it for as hostile as all that comes from here.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

MEMORY_BYTES = 1536 * 1024 * 1024


def run(module: str, request: str, most_s: float, most_chars: int) -> None:
    """Run a module with a request on its standard input, and print what it prints; nothing where it fails."""
    printed = b""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [sys.executable, "-I", "-m", module],
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=most_s,
            start_new_session=True,
            check=True,
        )
        printed = done.stdout
    if len(printed) <= most_chars:
        _print(printed.decode("utf-8", "replace"))


def limit_memory() -> None:
    """Let a process of ours fail by itself before all of the sandbox is out of memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _print(text: str) -> None:
    """Print as the kernel itself does, whatever stands at `sys.stdout`."""
    from IPython import get_ipython

    get: Callable[[], Any] = get_ipython
    kernel = get().kernel
    kernel.send_response(kernel.iopub_socket, "stream", {"name": "stdout", "text": text})
