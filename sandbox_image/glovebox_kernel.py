"""The kernel of a sandbox: ipykernel's, with four of its habits changed, and without what nobody here asks for.

An interrupt strikes nothing but the user's own code. ipykernel takes interrupts for as long as it handles a request;
one that comes while it sends its reply leaves half a message on the socket (the next one continues it, and the gateway
passes on rubbish) or none at all (whoever waits for the reply waits for ever).

And what is printed at once goes out in pieces: the orchestrator refuses messages beyond a size, and a single print of
20 MB would be one.

And what is put out faster than the gateway takes it has to wait (which waits for the orchestrator, in turn). Else it
would pile up in this process, and the kernel's socket drop what it cannot hold: a gigabyte printed at full speed would
be the end of the sandbox.

And it forgets what it has put out: IPython keeps all of it for ever, which is the orchestrator's task.

It is forked from a process that has imported all this (`glovebox_gateway`), so that a kernel starts in a moment.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import glovebox_packages
import zmq
from glovebox_channels import PORTS
from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

PIECE_CHARS = 1_000_000
AHEAD_BYTES = 4 * 1024 * 1024  # what a thread may put out before it waits; more would only be more memory
MESSAGE_BYTES = 6 * 1024  # what a message counts for at least
QUEUED_MESSAGES = 16  # of at most a megabyte each, as a rule
MOST_WAIT_S = 60.0  # then nobody takes anything any more, and the cell goes on
OOM_SCORE = "1000"


class NothingKept(dict[int, list[Any]]):
    """Stands where IPython keeps, for one of its magics, all that was ever printed or shown."""

    def __missing__(self, execution_count: int) -> list[Any]:
        """Return a list that is thrown away with what is put into it."""
        return []


class SandboxKernel(IPythonKernel):  # type: ignore[misc]
    """An IPython kernel whose messages are whole whatever interrupts it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.shell.history_manager.outputs = NothingKept()
        glovebox_packages.use_environment()
        self.shell.register_magic_function(glovebox_packages.magic, "line", "pip")

    def pre_handler_hook(self) -> None:
        """Take interrupts our way while a request is handled."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, interrupt_only_the_cell)

    async def _progressively_terminate_all_children(self) -> None:
        """Leave what cells have started to the keeper, which kills it; ipykernel would wait for it and never end."""

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
        if frame.f_code is InteractiveShell.showtraceback.__code__ and isinstance(sys.exception(), KeyboardInterrupt):
            return  # one has struck, and is being told
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


class SandboxKernelApp(IPKernelApp):  # type: ignore[misc]
    """The application around the kernel, without some of its beginnings."""

    blocking_class = None  # a class of clients, imported for its own sake
    log_level = logging.CRITICAL  # nobody reads it

    def _configure_logging(self) -> None:
        self.log.setLevel(self.log_level)

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        """Parse nothing: all settings are known."""

    def init_pdb(self) -> None:
        """Leave the debugger as it is: nobody here can answer it."""

    def init_heartbeat(self) -> None:
        """Have no heartbeat: whoever keeps the kernel is its parent and hears of its death at once."""


def run(sockets: str, ready: Callable[[], None]) -> None:
    """Be a kernel on the sockets of this name until told to end; say when it is `ready`."""
    # When the sandbox runs out of memory the kernel is to die, and the gateway to live and start another.
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(OOM_SCORE)
    sys.argv[:] = ["ipykernel"]
    print_in_pieces()
    keep_in_step()
    app = SandboxKernelApp.instance(
        config=settings(), transport="ipc", ip=sockets, **{f"{channel}_port": port for channel, port in PORTS.items()}
    )
    app.initialize([])
    ready()
    app.start()


def settings() -> Config:
    """Return the settings of every kernel in a sandbox."""
    config = Config()
    config.IPKernelApp.kernel_class = SandboxKernel
    config.Session.key = b""  # see glovebox_channels
    # There is nobody to search a history, and its database costs a file and a thread.
    config.HistoryManager.enabled = False
    config.InlineBackend.figure_formats = {"png"}
    # One chart, one size: what a cell draws is what the page shows.
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight"}
    return config
