"""Runs inside a sandbox (stdlib only): takes what the kernel counts by user until it is refused, and keeps it.

Prints as JSON how many of each it got, then sleeps. Usage: probe_exhaust.py MOST KIND...
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable

PIPE_BYTES = 1 << 20
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def watch() -> None:
    checked(LIBC.inotify_init1(0))


def signal_that_waits() -> None:
    checked(LIBC.sigqueue(os.getpid(), signal.SIGRTMAX, None))


def large_pipe() -> None:
    fcntl.fcntl(os.pipe()[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def process() -> None:
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)


def got(take: Callable[[], None], most: int) -> int:
    for count in range(most):
        try:
            take()
        except OSError:
            return count
    return most


KINDS = {"inotify": watch, "signals": signal_that_waits, "pipes": large_pipe, "processes": process}


def main(most: int, kinds: list[str]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMAX})
    sys.stdout.write(json.dumps({kind: got(KINDS[kind], most) for kind in kinds}) + "\n")
    sys.stdout.flush()
    time.sleep(600)


main(int(sys.argv[1]), sys.argv[2:])
