"""The kernel of a sandbox: ipykernel's, with three of its habits changed.

An interrupt strikes nothing but the user's own code. ipykernel takes interrupts for as long as it handles a request;
one that comes while it sends its reply leaves half a message on the socket (the next one continues it, and the gateway
passes on rubbish) or none at all (whoever waits for the reply waits for ever).

And what is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of
20 MB would be one.

And what is put out faster than the orchestrator takes it has to wait. The gateway would keep all of it in memory, and
the kernel's socket drop what it cannot hold: a gigabyte printed at full speed would be the end of the sandbox.
"""

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import glovebox_packages
import zmq
from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel

PIECE_CHARS = 1_000_000
# A bit below what the orchestrator takes of a gateway at once, a second, and for a message at least.
BURST_BYTES = 32 * 1024 * 1024
BYTES_PER_S = 20 * 1024 * 1024
MESSAGE_BYTES = 6 * 1024


class SandboxKernel(IPythonKernel):  # type: ignore[misc]
    """An IPython kernel whose messages are whole whatever interrupts it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        glovebox_packages.use_environment()
        self.shell.register_magic_function(glovebox_packages.magic, "line", "pip")

    def pre_handler_hook(self) -> None:
        """Take interrupts our way while a request is handled."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, interrupt_only_the_cell)

    async def do_execute(
        self,
        code: str,
        silent: bool,  # noqa: FBT001
        store_history: bool = True,  # noqa: FBT001, FBT002
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,  # noqa: FBT001, FBT002
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> Any:
        """Run a cell. An interrupt that comes when its code has just ended ends it as aborted."""
        try:
            return await super().do_execute(
                code, silent, store_history, user_expressions, allow_stdin, cell_meta=cell_meta, cell_id=cell_id
            )
        except KeyboardInterrupt:
            return {"status": "aborted", "execution_count": self.execution_count}


def interrupt_only_the_cell(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT: raise KeyboardInterrupt where a cell's code runs, do nothing elsewhere."""
    while frame is not None:
        if frame.f_code is IPythonKernel.do_execute.__code__:
            signal.default_int_handler(number, frame)
        frame = frame.f_back


def print_in_pieces() -> None:
    """Have ipykernel send long printed text as several messages."""
    buffers = OutStream._flush_buffers

    def in_pieces(stream: Any) -> Iterator[tuple[Any, str]]:
        for parent, text in buffers(stream):
            for start in range(0, len(text), PIECE_CHARS):
                yield parent, text[start : start + PIECE_CHARS]

    OutStream._flush_buffers = in_pieces


class Pace:
    """A bucket of bytes that fills at a steady rate; who takes more than there is waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._level = float(BURST_BYTES)
        self._at = time.monotonic()

    def take(self, count: int) -> None:
        """Take bytes. An interrupt ends the waiting, too."""
        with self._lock:
            now = time.monotonic()
            self._level = min(BURST_BYTES, self._level + (now - self._at) * BYTES_PER_S) - count
            self._at = now
            wait_s = -self._level / BYTES_PER_S
        if wait_s > 0:
            time.sleep(wait_s)


def keep_pace() -> None:
    """Have code that prints or shows more than the orchestrator takes wait for it."""
    pace = Pace()
    make, send = IOPubThread.__init__, BackgroundSocket.send_multipart
    write, flush = OutStream.write, OutStream.flush

    def write_and_wait(stream: Any, text: str) -> int | None:
        written: int | None = write(stream, text)
        stream.has_more = True
        pace.take(len(text) if text.isascii() else 3 * len(text))
        return written

    def flush_and_wait(stream: Any) -> None:
        flush(stream)
        if getattr(stream, "has_more", False):
            stream.has_more = False
            pace.take(MESSAGE_BYTES)

    def send_and_wait(socket: Any, message: list[Any], *arguments: Any, **options: Any) -> Any:
        sent = send(socket, message, *arguments, **options)
        pace.take(MESSAGE_BYTES + sum(len(part) for part in message))
        return sent

    def make_that_drops_nothing(thread: Any, socket: Any, *arguments: Any, **options: Any) -> None:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        make(thread, socket, *arguments, **options)

    IOPubThread.__init__ = make_that_drops_nothing
    OutStream.write, OutStream.flush = write_and_wait, flush_and_wait
    BackgroundSocket.send_multipart = send_and_wait
