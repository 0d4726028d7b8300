"""How a kernel puts out what cells print: some of ipykernel's habits are changed.

Who flushes a stream sends it, instead of waiting for a thread that does. What is printed and not flushed is sent by a
thread after a moment; it is woken for the first print after some rest, not for each.

What is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of 20 MB
would be one. And whoever prints more than a little has it sent before going on.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from glovebox_voice import Channel, Voice
from ipykernel.iostream import IOPubThread, OutStream

PIECE_CHARS = 1_000_000
AHEAD_CHARS = 1_000_000  # what may be printed before it is sent; more would only be more memory
FLUSH_S = 0.2
RESTLESS = 3  # so many moments without a print, and the thread that flushes sleeps until it is woken
HELD_BACK: list[int] = []  # interrupts of the cell, which come when what must not be interrupted is done


class Flusher:
    """A thread that flushes, in a moment, whatever was printed into."""

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []
        self._wake = threading.Event()
        self._sleeps = False
        threading.Thread(target=self._run, name="flusher", daemon=True).start()

    def soon(self, flush: Callable[[], None]) -> None:
        """Call this in a moment."""
        self._due.append(flush)
        if self._sleeps:
            self._wake.set()

    def _run(self) -> None:
        rests = 0
        while True:
            if rests >= RESTLESS:
                self._sleeps = True
                if not self._due:  # what comes from here on wakes us
                    self._wake.wait()
                self._wake.clear()
                self._sleeps = False
            time.sleep(FLUSH_S)
            due, self._due = self._due, []
            rests = 0 if due else rests + 1
            for flush in due:
                flush()


class Outputs(Channel, IOPubThread):  # type: ignore[misc]
    """Stands where ipykernel has the thread that sends outputs, and its socket, too."""

    def __init__(self, voice: Voice) -> None:
        Channel.__init__(self, voice, "iopub")
        self.flusher = Flusher()
        self.io_loop = None

    def schedule(self, f: Callable[[], Any]) -> None:
        """Do it."""
        f()


class Printed(OutStream):  # type: ignore[misc]
    """What stands in `sys.stdout` and `sys.stderr`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._ahead = 0
        self._at_flush = threading.RLock()
        super().__init__(*arguments, **settings)
        os.register_at_fork(after_in_child=self._begin_in_child)

    def _begin_in_child(self) -> None:
        """Leave what was printed before to the parent, and the locks to whoever held them."""
        self._buffers.clear()
        self._ahead, self._flush_pending = 0, False
        self._at_flush, self._buffer_lock = threading.RLock(), threading.RLock()

    def write(self, string: str) -> int | None:
        """Print. Whoever prints much waits for it to be sent."""
        written: int | None = super().write(string)
        self._ahead += len(string)
        if self._ahead > AHEAD_CHARS:
            self.flush()
        return written

    def _schedule_flush(self) -> None:
        if not self._flush_pending:
            self._flush_pending = True
            self.pub_thread.flusher.soon(self._flush)

    def flush(self) -> None:
        """Send what was printed, if there is anything."""
        if self._buffers or self.echo is not None:
            self._flush()
        if HELD_BACK and threading.current_thread() is threading.main_thread():
            HELD_BACK.clear()
            raise KeyboardInterrupt

    def _flush(self) -> None:
        """Send what was printed; an interrupt amidst this would lose it, and is held back."""
        with self._at_flush:
            self._ahead = 0
            super()._flush()

    def _flush_buffers(self) -> Iterator[tuple[Any, str]]:
        for parent, text in super()._flush_buffers():
            for start in range(0, len(text), PIECE_CHARS):
                yield parent, text[start : start + PIECE_CHARS]
