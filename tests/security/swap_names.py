"""Runs inside a sandbox (stdlib only): swaps what a name is, as fast as it can, until killed.

Usage: swap_names.py files FOLDER CANARY_FOLDER...
       swap_names.py sockets FOLDER SOCKET_OF_SOMEBODY_ELSE...

`files`: `FOLDER/file` is in turn a file, links to each canary's `secret`, a folder, a pipe, a file with two names, a
socket; `FOLDER/folder` is in turn a folder and links to each canary.
`sockets`: `FOLDER/gw.sock` is in turn a socket that answers, links to the others, a file, a pipe, a socket with two
names, a folder and nothing.

Two names are exchanged at once where the file system can do that; gVisor's cannot, and things are renamed there.
"""

import ctypes
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

MODE, FOLDER, TARGETS = sys.argv[1], sys.argv[2], sys.argv[3:]
ASIDE = f"{FOLDER}/.aside"
_AT_FDCWD, _EXCHANGE = -100, 2
_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


def swap(aside: str, name: str) -> None:
    """Put what lies aside under the name, and what had the name aside."""
    if _renameat2(_AT_FDCWD, aside.encode(), _AT_FDCWD, name.encode(), _EXCHANGE) == 0:
        return
    with suppress(FileNotFoundError):
        os.rename(name, f"{aside}.before")
    os.rename(aside, name)
    with suppress(FileNotFoundError):
        os.rename(f"{aside}.before", aside)


def make(kind: str, path: str) -> None:
    """Make one of the things that a name can be."""
    match kind.split(":", 1):
        case ["file"]:
            Path(path).write_text("inside")
        case ["link", target]:
            os.symlink(target, path)
        case ["folder"]:
            Path(path).mkdir()
            Path(path, "secret").write_text("inside")
        case ["pipe"]:
            os.mkfifo(path)
        case ["two-names"]:
            Path(path).write_text("inside")
            os.link(path, f"{path}.other")
        case ["socket"]:
            listen(path)
        case ["socket-two-names"]:
            listen(path)
            os.link(path, f"{path}.other")


def listen(path: str) -> None:
    """Make a socket that takes every connection and drops it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)

    def serve() -> None:
        while True:
            listener.accept()[0].close()

    threading.Thread(target=serve, daemon=True).start()


def turn(name: str, kinds: list[str]) -> None:
    """Let a name be each kind once, and what it was in between."""
    for number, kind in enumerate(kinds):
        aside = f"{ASIDE}/{name}-{number}"
        if not os.path.lexists(aside):  # somebody deleted it or uploaded over it
            for left in (aside, f"{aside}.other", f"{aside}.before"):
                with suppress(OSError):
                    os.unlink(left)
            make(kind, aside)
        for _ in range(2):
            swap(aside, f"{FOLDER}/{name}")


def prepare(name: str, kind: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(f"{FOLDER}/{name}")
    make(kind, f"{FOLDER}/{name}")


def main() -> None:
    os.makedirs(ASIDE, exist_ok=True)
    links = [f"link:{target}" for target in TARGETS]
    if MODE == "sockets":
        turns = {"gw.sock": [*links, "file", "pipe", "socket-two-names", "socket", "folder"]}
        prepare("gw.sock", "socket")
    else:
        secrets = [f"{link}/secret" for link in links]
        turns = {"file": [*secrets, "folder", "file", "pipe", "two-names", "socket"], "folder": [*links, "folder"]}
        prepare("file", "file")
        prepare("folder", "folder")
    Path(f"{FOLDER}/swapping").touch()
    while True:
        for name, kinds in turns.items():
            with suppress(OSError):  # whoever deletes or uploads meanwhile may be in the way
                turn(name, kinds)


main()
