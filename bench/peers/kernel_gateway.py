"""Jupyter's kernel gateway in a container, and the least client that speaks to it over TCP."""

import json
import secrets
import subprocess
import time
import uuid
from typing import Any

import requests
from websocket import WebSocket, create_connection

from bench.peers.ports import free_port
from bench.peers.shape import Settings

_POLL_S = 0.004  # as often as Glovebox looks for its gateway
_START_S = 60.0


class Gateway:
    """One container with one kernel, and one connection that stays open."""

    def __init__(self, settings: Settings) -> None:
        self._image = settings.gateway_image
        self._flags = settings.for_the_command_line()
        self._name = ""
        self._socket: WebSocket | None = None

    def start(self, code: str) -> str:
        port, token = free_port(), secrets.token_hex(16)
        self._name = f"{self._flags[0].partition('=')[2].replace('=', '-')}-{port}"
        address = f"--publish=127.0.0.1:{port}:8888"
        command = ["docker", "run", "--detach", f"--name={self._name}", address, f"--env=KG_AUTH_TOKEN={token}"]
        subprocess.run([*command, *self._flags, self._image], check=True, stdout=subprocess.DEVNULL)
        kernel = _started_kernel(f"http://127.0.0.1:{port}", token)
        channels = f"ws://127.0.0.1:{port}/api/kernels/{kernel}/channels?token={token}"
        self._socket = create_connection(channels, timeout=_START_S)
        return self.run(code)

    def run(self, code: str) -> str:
        assert self._socket is not None
        message_id = uuid.uuid4().hex
        self._socket.send(json.dumps(_execute_request(message_id, code)))
        printed, replied, idle = "", False, False
        while not (replied and idle):
            message = json.loads(self._socket.recv())
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            printed += content["text"] if kind == "stream" else ""
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
        return printed

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._name:
            name, self._name = self._name, ""
            subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        self.close()


def _started_kernel(url: str, token: str) -> str:
    """Return the id of a new kernel, as soon as the gateway answers."""
    headers = {"Authorization": f"token {token}"}
    deadline = time.monotonic() + _START_S
    with requests.Session() as http:
        http.trust_env = False
        while True:
            try:
                answer = http.post(f"{url}/api/kernels", json={"name": "python3"}, headers=headers, timeout=_START_S)
                answer.raise_for_status()
                return str(answer.json()["id"])
            except requests.ConnectionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)


def _execute_request(message_id: str, code: str) -> dict[str, Any]:
    header = {"msg_id": message_id, "msg_type": "execute_request", "session": uuid.uuid4().hex, "username": "bench"}
    return {
        "channel": "shell",
        "header": header | {"version": "5.4", "date": ""},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False},
        "buffers": [],
    }
