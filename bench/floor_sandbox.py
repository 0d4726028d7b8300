"""The floor of a sandbox: a bare `docker run` of the same image with the same limits, without Glovebox around it."""

import json
import os
import secrets
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from websockets.sync.client import ClientConnection, unix_connect
from websockets.typing import Subprotocol

from bench.docker_cli import remove_containers
from bench.docker_run import docker_run
from bench.errors import CannotMeasure
from bench.progress import say
from bench.stack import Stack
from orchestrator.kernel.frames import SUBPROTOCOL, parse_frame, serialize_frame
from orchestrator.lines.messages import LAST_UID
from orchestrator.spawner.container import DataInFolder, container_settings
from orchestrator.spawner.requests import Create

_POLL_S = 0.004  # as often as the orchestrator looks
_START_S = 60.0


@dataclass(slots=True)
class FloorSandbox:
    """One container, prepared but not yet started."""

    name: str
    uid: int
    workspace: Path
    run_folder: Path
    command: list[str]
    unsaid: list[str]
    kernel_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def make_folders(self) -> None:
        """Make what the spawner's caller makes before a start: two folders and the gateway's settings."""
        for folder in (self.workspace, self.run_folder):
            folder.mkdir(mode=0o700, parents=True)
            os.chown(folder, self.uid, self.uid)
        settings = self.run_folder / "gateway.json"
        settings.write_text(json.dumps({"token": self.token, "kernel_id": self.kernel_id}))
        os.chown(settings, self.uid, self.uid)

    def start(self) -> ClientConnection:
        """Start the container and return a connection to its kernel as soon as the gateway takes one.

        Raises:
            CannotMeasure: it does not start.

        """
        starting = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + _START_S
        try:
            while True:
                try:
                    return self._connect()
                except (FileNotFoundError, ConnectionRefusedError):
                    if starting.poll() not in (None, 0) or time.monotonic() > deadline:
                        said = starting.communicate(timeout=_START_S)[1]
                        raise CannotMeasure(f"the bare container did not start: {said.strip()}") from None
                time.sleep(_POLL_S)
        finally:
            starting.communicate(timeout=_START_S)

    def _connect(self) -> ClientConnection:
        return unix_connect(
            str(self.run_folder / "gw.sock"),
            f"ws://localhost/api/kernels/{self.kernel_id}/channels?session_id={uuid.uuid4().hex}",
            additional_headers={"Authorization": f"token {self.token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=None,
            open_timeout=_START_S,
        )

    def remove(self) -> None:
        """Kill the container; returns when it is gone."""
        remove_containers([self.name])


def prepare_floor(stack: Stack) -> FloorSandbox:
    """Return a container like a session's, by the spawner's own settings, and make its folders."""
    session = uuid.uuid4().hex
    uid = LAST_UID - secrets.randbelow(10_000)
    settings = container_settings(
        Create(session_id=session, profile="standard", uid=uid),
        stack.profile,
        DataInFolder(str(stack.folder / "floor")),
        {"glovebox.instance": stack.instance},
    )
    name = f"{stack.instance}-floor-{session}"
    command, unsaid = docker_run(settings, name)
    root = stack.folder / "floor" / "sessions" / session
    floor = FloorSandbox(name, uid, root / "workspace", root / "run", command, unsaid)
    floor.make_folders()
    if unsaid:
        say(f"the floor's container lacks {', '.join(unsaid)}, for which bench knows no flag of 'docker run'")
    return floor


@contextmanager
def running_floor(stack: Stack) -> Iterator[FloorSandbox]:
    """Keep such a container running."""
    floor = prepare_floor(stack)
    try:
        with floor.start() as connection:
            run_cell(connection, "1+1")
        yield floor
    finally:
        floor.remove()


def run_cell(connection: ClientConnection, code: str) -> None:
    """Run a cell until the kernel has answered it and is idle."""
    message_id = uuid.uuid4().hex
    connection.send(_execute_request(message_id, code))
    replied = idle = False
    while not (replied and idle):
        data = connection.recv()
        if not isinstance(data, bytes):
            raise CannotMeasure("the gateway of the bare container speaks another protocol")
        frame = parse_frame(data)
        if frame.parent_header.get("msg_id") == message_id:
            kind = frame.header["msg_type"]
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and frame.content["execution_state"] == "idle")


def _execute_request(message_id: str, code: str) -> bytes:
    header = {
        "msg_id": message_id,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "bench",
        "version": "5.4",
        "date": "",
    }
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    return serialize_frame("shell", header, content)
