"""First process of a sandbox: a Jupyter kernel gateway on a unix socket, with one kernel.

Theory of operation. The container has no network. Its only door is the socket `gw.sock` in `/run/glovebox`,
a folder that the orchestrator sees too. The orchestrator leaves `gateway.json` there before the start:

    {"token": "<hex>", "kernel_id": "<uuid>"}

and this process answers on the socket for that token, with that one kernel, which it starts at once, so that the
kernel comes up while the gateway does. Code in the kernel may do what it likes to this process, to the token and to
the socket (same uid, same files): nobody outside trusts what comes out of it.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from glovebox_packages import environ_of_programs, is_offered

RUN_FOLDER = Path("/run/glovebox")
HOME = Path(os.environ.get("HOME", "/home/sandbox"))
FORWARDER = [sys.executable, "-I", "-S", "/opt/glovebox/egress_forwarder.py"]
FORWARDER_CHECK_MS = 1000
UNTAKEN_BYTES = 8 * 1024 * 1024
TAKEN_POLL_S = 0.005
QUEUED_MESSAGES = 16
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # tornado's own default is 10 MiB, and the gateway has no setting for it

# jsonschema compiles a grammar when this optional module is there: 0.7 s of a cold start for nothing.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


def furnish_home() -> None:
    """Copy the prepared font list and the kernel's start-up settings into the (empty, in-memory) home."""
    shutil.copytree("/opt/glovebox/matplotlib", HOME / ".cache/matplotlib", dirs_exist_ok=True)
    shutil.copytree("/opt/glovebox/ipython", HOME / ".ipython", dirs_exist_ok=True)


class Forwarder:
    """The process that offers the session's egress proxy to programs; started again when it ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(FORWARDER)

    def check(self) -> None:
        """Start it again if it is gone."""
        if self._process.poll() is not None:
            self._process = subprocess.Popen(FORWARDER)


def wait_for_the_orchestrator() -> None:
    """Have the gateway take no more outputs of the kernel than the orchestrator takes; it would keep all in memory."""
    import zmq
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
    from tornado.ioloop import IOLoop

    make, pass_on = ZMQChannelsWebsocketConnection.create_stream, ZMQChannelsWebsocketConnection.handle_outgoing_message

    def untaken_bytes(connection: Any) -> int:
        socket = connection.websocket_handler.ws_connection
        return 0 if socket is None else len(socket.stream._write_buffer)

    def make_with_a_short_queue(connection: Any) -> None:
        make(connection)
        connection.channels["iopub"].socket.setsockopt(zmq.RCVHWM, QUEUED_MESSAGES)

    def take_more(connection: Any, outputs: Any) -> None:
        if outputs.closed():
            return
        if untaken_bytes(connection) > UNTAKEN_BYTES // 2:
            IOLoop.current().call_later(TAKEN_POLL_S, take_more, connection, outputs)
        else:
            outputs.on_recv_stream(connection.handle_outgoing_message)

    def pass_on_and_wait(connection: Any, stream: Any, message: list[Any]) -> None:
        pass_on(connection, stream, message)
        outputs = connection.channels.get("iopub")
        if stream is outputs and untaken_bytes(connection) > UNTAKEN_BYTES:
            outputs.stop_on_recv()
            IOLoop.current().call_later(TAKEN_POLL_S, take_more, connection, outputs)

    ZMQChannelsWebsocketConnection.create_stream = make_with_a_short_queue
    ZMQChannelsWebsocketConnection.handle_outgoing_message = pass_on_and_wait


def gateway_class() -> Any:
    """Return the gateway's application class; a function, since the import is most of this process's start."""
    from kernel_gateway.gatewayapp import KernelGatewayApp
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import PeriodicCallback
    from tornado.netutil import bind_unix_socket

    class UnixSocketGateway(KernelGatewayApp):  # type: ignore[misc]
        """A kernel gateway that listens on a unix socket only and starts its one kernel by itself."""

        kernel_id: str

        def init_configurables(self) -> None:
            super().init_configurables()
            # Before the socket exists, so that whoever connects finds the kernel.
            self.io_loop.run_sync(partial(self.kernel_manager.start_kernel, kernel_id=self.kernel_id))

            if is_offered():
                PeriodicCallback(Forwarder().check, FORWARDER_CHECK_MS).start()

        def init_webapp(self) -> None:
            super().init_webapp()
            self.web_app.settings["websocket_max_message_size"] = MAX_MESSAGE_BYTES

        def init_http_server(self) -> None:
            socket_path = RUN_FOLDER / "gw.sock"
            socket_path.unlink(missing_ok=True)
            self.http_server = HTTPServer(self.web_app)
            self.http_server.add_socket(bind_unix_socket(str(socket_path), mode=0o600))

    return UnixSocketGateway


def main() -> None:
    """Start the gateway and serve until killed."""
    os.umask(0o077)
    settings = json.loads((RUN_FOLDER / "gateway.json").read_text())
    furnish_home()
    os.umask(0o022)
    os.environ.update(environ_of_programs(HOME))
    gateway = gateway_class().instance()
    wait_for_the_orchestrator()
    gateway.kernel_id = settings["kernel_id"]
    gateway.initialize(
        [
            f"--KernelGatewayApp.auth_token={settings['token']}",
            "--KernelGatewayApp.max_kernels=1",
            "--KernelGatewayApp.ws_ping_interval=0",
            "--KernelGatewayApp.log_level=WARN",
            "--JupyterWebsocketPersonality.list_kernels=True",
            # The orchestrator bounds the output and says what it cut; the gateway would drop it in silence.
            "--ZMQChannelsWebsocketConnection.limit_rate=False",
        ]
    )
    gateway.start()


if __name__ == "__main__":
    main()
