"""Runs in a container (stdlib only): exchanges names in the folder it stands in, as fast as it can, until killed.

Usage: swapper.py workspace OUTSIDE | swapper.py socket OUTSIDE

OUTSIDE is a folder of the host that the container does not see; links made here lead there for whoever follows them.
"""

import contextlib
import ctypes
import itertools
import os
import socket
import sys
import threading

AT_FDCWD, RENAME_EXCHANGE = -100, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def exchange(one: str, other: str) -> None:
    """Swap two names at once (renameat2(2)); neither is ever missing by our doing."""
    LIBC.renameat2(AT_FDCWD, one.encode(), AT_FDCWD, other.encode(), RENAME_EXCHANGE)


def furnish_workspace(outside: str) -> None:
    """Make whatever the orchestrator deletes or replaces meanwhile anew."""
    with contextlib.suppress(OSError):
        os.makedirs("sub")
    for name in ("target", "sub/inner"):
        with contextlib.suppress(OSError):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
    for name, leads_to in (
        ("link", f"{outside}/canary"),
        ("climb", "../" * 12 + f"{outside[1:]}/canary"),
        ("sublink", outside),
    ):
        with contextlib.suppress(OSError):
            os.symlink(leads_to, name)
    with contextlib.suppress(OSError):
        os.mkfifo("pipe")
    with contextlib.suppress(OSError):
        os.mkdir("folder")


def swap_workspace(outside: str) -> None:
    """Let `target` and `sub` be anything by turns."""
    for turn in itertools.count():
        if turn % 50 == 0:
            furnish_workspace(outside)
        exchange("target", ("link", "climb", "pipe", "folder")[turn % 4])
        exchange("sub", "sublink")


def answer(listener: socket.socket) -> None:
    """Take connections and drop them: the socket itself is honest."""
    while True:
        line, _ = listener.accept()
        line.close()


def swap_socket(outside: str) -> None:
    """Let `gw.sock` be our own socket, links to others' sockets, a plain file or a second name by turns."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("gw.sock")
    listener.listen(512)
    threading.Thread(target=answer, args=(listener,), daemon=True).start()
    os.symlink(f"{outside}/canary.sock", "link")
    os.symlink("../" * 12 + f"{outside[1:]}/canary.sock", "climb")
    open("plain", "w").close()
    os.mkdir("folder")
    open("ready", "w").close()
    for turn in itertools.count():
        other = ("link", "climb", "plain", "folder")[turn % 4]
        exchange("gw.sock", other)
        exchange("gw.sock", other)


{"workspace": swap_workspace, "socket": swap_socket}[sys.argv[1]](sys.argv[2])
