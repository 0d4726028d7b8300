"""How a kernel puts out what cells print and show: four of ipykernel's habits are changed.

What is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of 20 MB
would be one.

What is put out faster than the gateway takes it has to wait (which waits for the orchestrator, in turn). Else it would
pile up in this process, and the kernel's socket drop what it cannot hold: a gigabyte printed at full speed would be the
end of the sandbox.

A flush of nothing is nothing. ipykernel flushes both streams three times a cell, and each time waits for another thread
to say that it is done.

And that thread is woken once for all that waits for it, not once for each.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import zmq
from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream
from ipykernel.kernelapp import IPKernelApp

PIECE_CHARS = 1_000_000
AHEAD_BYTES = 4 * 1024 * 1024  # what a thread may put out before it waits; more would only be more memory
MESSAGE_BYTES = 6 * 1024  # what a message counts for at least
QUEUED_MESSAGES = 16  # of at most a megabyte each, as a rule
MOST_WAIT_S = 60.0  # then nobody takes anything any more, and the cell goes on
HELD_BACK: list[int] = []  # interrupts of the cell, which come when what must not be interrupted is done


def put_out_our_way() -> None:
    """Change these habits of ipykernel, in this process."""
    print_in_pieces()
    keep_in_step()
    flush_only_something()
    wake_once()


def print_in_pieces() -> None:
    """Have ipykernel send long printed text as several messages."""
    buffers = OutStream._flush_buffers

    def in_pieces(stream: Any) -> Iterator[tuple[Any, str]]:
        for parent, text in buffers(stream):
            for start in range(0, len(text), PIECE_CHARS):
                yield parent, text[start : start + PIECE_CHARS]

    OutStream._flush_buffers = in_pieces


class Ahead(threading.local):
    """How much a thread has put out since it last waited for that to be sent."""

    size = 0


def keep_in_step() -> None:
    """Have code that prints or shows more than the gateway takes wait for it."""
    ahead = Ahead()
    init_iopub, make = IPKernelApp.init_iopub, IOPubThread.__init__
    write, send = OutStream.write, BackgroundSocket.send_multipart

    def wait(sender: IOPubThread, size: int, before: Callable[[], None] | None = None) -> None:
        ahead.size += size
        if ahead.size < AHEAD_BYTES or threading.current_thread() is sender.thread:
            return
        ahead.size = 0
        if before is not None:
            sender.schedule(before)
        sent = threading.Event()
        sender.schedule(sent.set)
        sent.wait(MOST_WAIT_S)

    def write_and_wait(stream: Any, text: str) -> int | None:
        written: int | None = write(stream, text)
        wait(stream.pub_thread, len(text) if text.isascii() else 3 * len(text), stream._flush)
        return written

    def send_and_wait(socket: Any, message: list[Any], *arguments: Any, **options: Any) -> Any:
        sent = send(socket, message, *arguments, **options)
        wait(socket.io_thread, MESSAGE_BYTES + sum(len(part) for part in message))
        return sent

    def make_that_drops_nothing(thread: Any, socket: Any, *arguments: Any, **options: Any) -> None:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        make(thread, socket, *arguments, **options)

    def init_with_a_short_queue(app: Any, context: zmq.Context[Any]) -> None:
        context.setsockopt(zmq.SNDHWM, QUEUED_MESSAGES)  # of sockets that are made from now on
        init_iopub(app, context)
        del context.sockopts[zmq.SNDHWM]

    IPKernelApp.init_iopub, IOPubThread.__init__ = init_with_a_short_queue, make_that_drops_nothing
    OutStream.write, BackgroundSocket.send_multipart = write_and_wait, send_and_wait
    OutStream.flush_timeout = MOST_WAIT_S


def flush_only_something() -> None:
    """Have a stream into which nothing was written since it was last flushed leave it at that."""
    flush = OutStream.flush

    def flush_something(stream: Any) -> None:
        if stream._buffers or stream._flush_pending or stream.echo is not None:
            flush(stream)

    OutStream.flush = flush_something


def hand_over(sender: Any, task: Callable[[], Any]) -> None:
    """Put a task before the thread that sends. An interrupt amidst this would leave that asleep for ever."""
    sender._events.append(task)
    if not sender.woken:
        sender.woken = True
        sender._event_pipe.send(b"")


def wake_once() -> None:
    """Have the thread that sends be woken for the first thing to do, and find the others beside it."""

    def schedule(sender: Any, task: Callable[[], Any]) -> None:
        if not sender.thread.is_alive():
            task()
            return
        hand_over(sender, task)
        if HELD_BACK and threading.current_thread() is threading.main_thread():
            HELD_BACK.clear()
            raise KeyboardInterrupt

    def handle_all(sender: Any, message: Any) -> None:
        sender.woken = False  # before it is looked at what there is: what comes later wakes again
        for _ in range(len(sender._events)):
            try:
                sender._events.popleft()()
            except Exception:  # what comes after it is not to wait for the next to wake us
                traceback.print_exc(file=sys.__stderr__)

    IOPubThread.woken = False
    IOPubThread.schedule, IOPubThread._handle_event = schedule, handle_all
