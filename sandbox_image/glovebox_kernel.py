"""The kernel of a sandbox: ipykernel's, with some of its habits changed, and without what nobody here asks for.

It has one connection, to the bridge, where ipykernel has five sockets of ZeroMQ with four threads (`glovebox_voice`).
Requests come one after the other. Those of the control channel are the bridge's to answer.

An interrupt strikes nothing but the user's own code. ipykernel takes interrupts for as long as it handles a request;
one that comes while it sends its reply leaves none at all, and whoever waits for the reply waits for ever.

It forgets what it has put out: IPython keeps all of it for ever, which is the orchestrator's task. How it puts that out
is another matter (`glovebox_outputs`).

It is forked from a process that has imported all this (`glovebox_gateway`), so that a kernel starts in a moment.
"""

import asyncio
import atexit
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from types import FrameType
from typing import Any

import glovebox_charts
import glovebox_packages
from glovebox_interrupts import Interrupts
from glovebox_outputs import HELD_BACK, Outputs, Printed
from glovebox_syntax import SyntaxWhereItMayBe
from glovebox_voice import Channel, Requests, Voice
from ipykernel import ipkernel
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

OOM_SCORE = "1000"
_TRACEBACK = InteractiveShell.showtraceback.__code__


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


class SandboxKernel(IPythonKernel):  # type: ignore[misc]
    """An IPython kernel whose messages are whole whatever interrupts it."""

    # Whoever asks waits for a cell's outputs and its reply, in any order: no need to let the outputs get ahead.
    _execute_sleep = 0.0
    _number = 0  # of the request that is answered, or was the last
    _struck = 0  # up to here, cells are not to run
    _is_preparing = False  # a request is read, and no code of a cell runs yet

    def __init__(self, voice: Voice, interrupts: Interrupts, **settings: Any) -> None:
        super().__init__(**settings)
        self._voice, self._interrupts = voice, interrupts
        # What a cell's last line is worth, and the reply: both go with the last message of the request.
        self.shell.displayhook.pub_socket = Channel(voice, "iopub", waits=True)
        self._replies = Channel(voice, "shell", waits=True)
        self.shell.input_transformer_manager = SyntaxWhereItMayBe()
        self.shell.transform_cell = lru_cache(1)(self.shell.transform_cell)  # ipykernel does it twice
        self.shell_channel_thread = NoThread()
        self.shell.history_manager.outputs = NothingKept()
        glovebox_charts.show_specifications(self.shell.display_formatter.mimebundle_formatter)
        glovebox_packages.use_environment()
        self.shell.register_magic_function(glovebox_packages.magic, "line", "pip")

    def start(self) -> None:
        """Answer requests from now on."""
        super().start()
        self._requests = Requests(self._voice.socket, self._answer)
        signal.signal(signal.SIGINT, self.strike)

    async def _answer(self, parts: list[bytes]) -> None:
        """Answer a request (Jupyter's messaging, "Request-Reply"): whatever it takes, the reply, and idle."""
        header, parent, metadata, content = map(json.loads, parts[:4])
        request = {"header": header, "parent_header": parent, "metadata": metadata, "content": content}
        request |= {"msg_id": header["msg_id"], "msg_type": header["msg_type"], "buffers": parts[4:]}
        self._number += 1
        self._is_preparing = True
        self.set_parent([], request)
        handler = self.shell_handlers.get(header["msg_type"])
        self.pre_handler_hook()
        try:
            if handler is not None and asyncio.iscoroutine(answering := handler(self._replies, [], request)):
                await answering
        except (Exception, KeyboardInterrupt):  # the kernel goes on
            self.log.exception("A request was not answered.")
        finally:
            self.post_handler_hook()
            self._is_preparing = False
        sys.stdout.flush()
        sys.stderr.flush()
        self._publish_status("idle", "shell")

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        """Keep the code to ourselves: there is nobody but who sent it."""

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Have no queue: whoever asks waits for the answer."""

    def pre_handler_hook(self) -> None:
        """Take interrupts our way while a request is handled, whatever a cell has made of them."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, self.strike)

    def strike(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT: raise KeyboardInterrupt where a cell's code runs, unless one is meant that has ended.

        Cells that are on their way are not run then.
        """
        meant = self._interrupts.take() or self._number
        if meant < self._number:
            return
        self._struck = meant
        if self._is_preparing:
            return
        is_told = isinstance(sys.exception(), KeyboardInterrupt)
        if is_told and frame is not None and frame.f_code.co_filename == _TRACEBACK.co_filename:
            return  # one has struck, and is about to be told
        hold_back = False
        while frame is not None:
            if is_told and frame.f_code is _TRACEBACK:
                return
            hold_back = hold_back or frame.f_code is Printed._flush.__code__
            if frame.f_code is IPythonKernel.do_execute.__code__:
                if not hold_back:
                    signal.default_int_handler(number, frame)
                HELD_BACK.append(number)
                return
            frame = frame.f_back

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
        """Run a cell. An interrupt that comes before its code runs, or when it has just ended, ends it as aborted."""
        self._is_preparing = False
        if self._number <= self._struck:
            return {"status": "aborted", "execution_count": self.execution_count}
        try:
            return await super().do_execute(
                code, silent, store_history, user_expressions, allow_stdin, cell_meta=cell_meta, cell_id=cell_id
            )
        except KeyboardInterrupt:
            return {"status": "aborted", "execution_count": self.execution_count}
        finally:
            self.shell.transform_cell.cache_clear()


class SandboxKernelApp(IPKernelApp):  # type: ignore[misc]
    """The application around the kernel, without its sockets and some of its beginnings."""

    blocking_class = None  # a class of clients, imported for its own sake
    log_level = logging.CRITICAL  # nobody reads it
    outstream_class = "glovebox_outputs.Printed"

    def __init__(self, bridge: str, interrupts: Interrupts, **settings: Any) -> None:
        super().__init__(**settings)
        self._bridge, self._interrupts = bridge, interrupts

    def _configure_logging(self) -> None:
        self.log.setLevel(self.log_level)

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        """Parse nothing: all settings are known."""

    def init_pdb(self) -> None:
        """Leave the debugger as it is: nobody here can answer it."""

    def init_connection_file(self) -> None:
        """Have no file that says where to connect."""

    def write_connection_file(self, **_: Any) -> None:
        """Write none."""

    def log_connection_info(self) -> None:
        """Tell nobody of it."""

    def init_sockets(self) -> None:
        """Connect to the bridge instead."""
        self._voice = Voice(self._bridge)
        self._voice.introduce()
        self.iopub_socket = self.iopub_thread = Outputs(self._voice)
        self.configure_tornado_logger()
        atexit.register(self.close)

    def init_heartbeat(self) -> None:
        """Have no heartbeat: whoever keeps the kernel is its parent and hears of its death at once."""

    def init_kernel(self) -> None:
        """Make the kernel itself."""
        self.kernel = SandboxKernel.instance(
            parent=self,
            voice=self._voice,
            interrupts=self._interrupts,
            session=self.session,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count

    def close(self) -> None:
        """Say what is still to be said; the connection ends with the process."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.reset_io()


def no_signature(method: Any, names: list[str]) -> dict[str, bool]:
    """Tell that a method takes none of these arguments; ipykernel would look, for each cell."""
    return dict.fromkeys(names, False)


def run(bridge: str, interrupts: Interrupts, ready: Callable[[], None]) -> None:
    """Be a kernel that connects to the bridge's socket, until told to end; say when it is `ready`."""
    # When the sandbox runs out of memory the kernel is to die, and the gateway to live and start another.
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(OOM_SCORE)
    sys.argv[:] = ["ipykernel"]
    ipkernel._accepts_parameters = no_signature
    app = SandboxKernelApp.instance(config=settings(), bridge=bridge, interrupts=interrupts)
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
    config.Session.key = b""  # whoever gets at the connection has the kernel's uid and can do all it can
    # There is nobody to search a history, and its database costs a file and a thread.
    config.HistoryManager.enabled = False
    config.InlineBackend.figure_formats = {"png"}
    # One chart, one size: what a cell draws is what the page shows.
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight"}
    return config
