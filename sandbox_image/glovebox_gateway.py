"""First process of a sandbox: it keeps a kernel, and a bridge between that and the orchestrator.

Theory of operation. The container has no network. Its only door is the socket `gw.sock` in `/run/glovebox`,
a folder that the orchestrator sees too. The orchestrator leaves `gateway.json` there before the start:

    {"token": "<hex>", "kernel_id": "<uuid>"}

This process imports once what a kernel needs, then forks:

    keeper ──fork──> kernel   (glovebox_kernel)  ipykernel, with the user's code in it
           ──fork──> bridge   (glovebox_bridge)  answers on the socket for that token, with that one kernel

and waits. A kernel that ends is followed by another at once, forked from here and so with everything imported. The
keeper itself never has a thread or an event loop: what would not survive a fork is never there. A kernel connects to
the bridge on a socket in the home folder. When the bridge ends, or the keeper, the container does. All three share the
memory of what was imported; when that of the sandbox runs out, the kernel is the one to die.

Code in the kernel may do what it likes to the other two, to the token and to the socket (same uid, same files): nobody
outside trusts what comes out of it.
"""

import gc
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from glovebox_imports import import_the_kernel
from glovebox_interrupts import Interrupts
from glovebox_packages import environ_of_programs

RUN_FOLDER = Path("/run/glovebox")
HOME = Path(os.environ.get("HOME", "/home/sandbox"))
KERNELS = HOME / ".kernel"
BACKLOG = 64


def furnish_home(home: Path) -> None:
    """Put the prepared font list into the (empty, in-memory) home."""
    shutil.copytree("/opt/glovebox/matplotlib", home / ".cache/matplotlib", dirs_exist_ok=True)


def fork(child: Callable[[], None]) -> int:
    """Run a function in a process of its own and return that one's pid."""
    pid = os.fork()
    if pid:
        return pid
    child()
    sys.exit()


def be_the_kernel(told: int, interrupts: Interrupts) -> None:
    """Be the kernel, and tell of one's life on a pipe."""
    from glovebox_kernel import run

    os.setsid()
    os.write(told, b"born %d\n" % os.getpid())

    def ready() -> None:
        os.write(told, b"ready\n")
        os.close(told)

    run(str(KERNELS), interrupts, ready)


def be_the_bridge(heard: int, settings: dict[str, str], kernels: socket.socket, interrupts: Interrupts) -> None:
    """Be the bridge."""
    import asyncio

    from glovebox_bridge import Bridge, serve

    bridge = Bridge(settings["token"], settings["kernel_id"], interrupts)
    asyncio.run(serve(bridge, kernels, RUN_FOLDER / "gw.sock", heard))


def keep(settings: dict[str, str]) -> None:
    """Keep a kernel and a bridge until the bridge ends."""
    kernels = socket.socket(socket.AF_UNIX)
    kernels.bind(str(KERNELS))
    kernels.listen(BACKLOG)  # before anybody is forked: whoever comes first finds the other
    interrupts = Interrupts()
    heard, told = os.pipe()

    def bridge_on_one_end() -> None:
        os.close(told)
        be_the_bridge(heard, settings, kernels, interrupts)

    def kernel_on_the_other() -> None:
        os.close(heard)
        kernels.close()
        be_the_kernel(told, interrupts)

    kernel = fork(kernel_on_the_other)
    bridge = fork(bridge_on_one_end)
    while (ended := os.wait()[0]) != bridge:
        if ended == kernel:
            with suppress(OSError):
                os.killpg(kernel, signal.SIGKILL)  # what it had started, and what would be in the next one's way
            os.write(told, b"died\n")
            kernel = fork(kernel_on_the_other)


def main() -> None:
    """Start both, and see to them until killed."""
    sys.path.remove(str(Path(__file__).parent))
    os.umask(0o077)
    settings = json.loads((RUN_FOLDER / "gateway.json").read_text())
    furnish_home(HOME)
    os.umask(0o022)
    os.environ.update(environ_of_programs(HOME))
    gc.disable()  # nothing that is imported is garbage, and collecting would touch the pages that all share
    import_the_kernel()
    gc.freeze()
    gc.enable()
    keep(settings)


if __name__ == "__main__":
    main()
