"""The kernel of a sandbox: ipykernel's, with some of its habits changed, and without what nobody here asks for.

An interrupt strikes nothing but the user's own code. ipykernel takes interrupts for as long as it handles a request;
one that comes while it sends its reply leaves half a message on the socket (the next one continues it, and the gateway
passes on rubbish) or none at all (whoever waits for the reply waits for ever).

It forgets what it has put out: IPython keeps all of it for ever, which is the orchestrator's task. How it puts that out
is another matter (`glovebox_outputs`).

It is forked from a process that has imported all this (`glovebox_gateway`), so that a kernel starts in a moment.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import glovebox_charts
import glovebox_packages
import zmq
from glovebox_channels import PORTS
from glovebox_outputs import HELD_BACK, hand_over, put_out_our_way
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

OOM_SCORE = "1000"


class NothingKept(dict[int, list[Any]]):
    """Stands where IPython keeps, for one of its magics, all that was ever printed or shown."""

    def __missing__(self, execution_count: int) -> list[Any]:
        """Return a list that is thrown away with what is put into it."""
        return []


class NoThread:
    """Stands where ipykernel has the thread that hands requests to subshells, which it asks for the main thread."""

    parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        """Tell that there is none."""
        return False


NO_THREAD = NoThread()


class SandboxKernel(IPythonKernel):  # type: ignore[misc]
    """An IPython kernel whose messages are whole whatever interrupts it."""

    # Whoever asks waits for a cell's outputs and its reply, in any order: no need to let the outputs get ahead.
    _execute_sleep = 0.0

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.shell_channel_thread = NO_THREAD
        self.shell.history_manager.outputs = NothingKept()
        glovebox_charts.show_specifications(self.shell.display_formatter.mimebundle_formatter)
        glovebox_packages.use_environment()
        self.shell.register_magic_function(glovebox_packages.magic, "line", "pip")

    def pre_handler_hook(self) -> None:
        """Take interrupts our way while a request is handled."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, interrupt_only_the_cell)

    @property
    def _supports_kernel_subshells(self) -> bool:
        """Have none: they cost each cell two ways between threads."""
        return False

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
    hold_back = False
    while frame is not None:
        if frame.f_code is InteractiveShell.showtraceback.__code__ and isinstance(sys.exception(), KeyboardInterrupt):
            return  # one has struck, and is being told
        hold_back = hold_back or frame.f_code is hand_over.__code__
        if frame.f_code is IPythonKernel.do_execute.__code__:
            if not hold_back:
                signal.default_int_handler(number, frame)
            HELD_BACK.append(number)
            return
        frame = frame.f_back


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

    def init_control(self, context: zmq.Context[Any]) -> None:
        """Have no thread between the shell channel and the kernel."""
        super().init_control(context)
        self.shell_channel_thread = None

    def init_heartbeat(self) -> None:
        """Have no heartbeat: whoever keeps the kernel is its parent and hears of its death at once."""


def run(sockets: str, ready: Callable[[], None]) -> None:
    """Be a kernel on the sockets of this name until told to end; say when it is `ready`."""
    # When the sandbox runs out of memory the kernel is to die, and the gateway to live and start another.
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(OOM_SCORE)
    sys.argv[:] = ["ipykernel"]
    put_out_our_way()
    app = SandboxKernelApp.instance(
        config=settings(), transport="ipc", ip=sockets, **{f"{channel}_port": port for channel, port in PORTS.items()}
    )
    app.initialize([])
    ready()
    make_what_waits(app.shell)
    app.start()


def make_what_waits(shell: InteractiveShell) -> None:
    """Have IPython make now what it else makes in the first cell: whoever is told of us needs a moment to come."""
    shell.logger  # noqa: B018 - asking for it makes it
    shell.display_formatter.format(0)


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
