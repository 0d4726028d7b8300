"""A spawner and an orchestrator as processes, on a data folder of their own, for tests to use and to kill."""

import contextlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.engine import ROOT, docker

# One CPU is left for the others, as the README advises: a sandbox that may have all of them can slow everybody down.
CPUS = min(2, max(1, (os.cpu_count() or 2) - 1))
# A pool would start containers that no test asked for; tests of it have profiles of their own.
STANDARD = {
    "warm": 0,
    "cpus": CPUS,
    "memory_mb": 1024,
    "pids": 256,
    "disk_mb": 4096,
    "cell_timeout_s": 180,
    "idle_s": 900,
}
PROFILES: dict[str, Any] = {
    "standard": STANDARD,
    "tight": {**STANDARD, "memory_mb": 320, "disk_mb": 32, "tmp_mb": 32},
    "cramped": {**STANDARD, "memory_mb": 320, "tmp_mb": 300, "cell_timeout_s": 300},  # /tmp can fill all memory
    "patient": {**STANDARD, "cell_timeout_s": 300},
    "sleepy": {**STANDARD, "idle_s": 2},
    "forgetful": {**STANDARD, "idle_s": 2, "keep_variables_mb": 1},
    "no-image": {**STANDARD, "image": "glovebox-no-such-image:latest"},
    "no-runtime": {**STANDARD, "runtime": "no-such-runtime"},
}
IMAGE = os.environ.get("GLOVEBOX_TEST_IMAGE")  # of sandboxes, to try one before it becomes the one that is used
RUNTIMES = os.environ.get("GLOVEBOX_TEST_RUNTIMES", "runc,runsc").split(",")
# Runs a part with other limits (orchestrator/limits.py): what a test does not judge, it need not wait for.
_WITH_LIMITS = (
    "import json, runpy, sys; from orchestrator import limits; vars(limits).update(json.loads(sys.argv.pop())); "
    "runpy.run_module(sys.argv.pop(), run_name='__main__', alter_sys=True)"
)
_START_S = 120  # on a machine that does much else at the same time


def profiles(runtime: str) -> dict[str, Any]:
    """Return the profiles, run by this runtime where they do not name one."""
    given = {"runtime": runtime} | ({"image": IMAGE} if IMAGE else {})
    return {name: {**given, **profile} for name, profile in PROFILES.items()}


class Stack:
    """One running Glovebox without its page. Killed parts are started again by `start_…`."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        runtime: str = "runc",
        limits: dict[str, float] | None = None,
    ) -> None:
        self.folder = folder
        self.runtime = runtime
        self._limits = {"DEMO_PACE_S": 0.002} | (limits or {})
        self.profiles = profiles(runtime)
        self.instance = f"gbtest-{uuid.uuid4().hex[:12]}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.json"
        wanted = {"server": {"port": self.port}, "profiles": self.profiles} | (config or {})
        self.config.write_text(json.dumps(wanted))
        self._environ = dict(os.environ) | {
            "GLOVEBOX_CONFIG": str(self.config),
            "GLOVEBOX_DATA": str(folder / "data"),
            "GLOVEBOX_SPAWNER_SOCKET": str(folder / "spawner.sock"),
            "GLOVEBOX_INSTANCE": self.instance,
        }
        self._environ.pop("OPENAI_API_KEY", None)
        for name in ("TOKEN", "DATABASE_URL", "ADMIN_PASSWORD", "BIND", "DATA_VOLUME"):
            self._environ.pop(f"GLOVEBOX_{name}", None)
        self._environ |= environ or {}
        self.spawner: subprocess.Popen[bytes] | None = None
        self.orchestrator: subprocess.Popen[bytes] | None = None
        self._first_number = 10**6 + secrets.randbelow(10**9)

    def start_spawner(self) -> None:
        (self.folder / "spawner.sock").unlink(missing_ok=True)  # a killed one leaves it
        self.spawner = self._start("orchestrator.spawner", "spawner.log")
        wait_for(lambda: (self.folder / "spawner.sock").exists(), "the spawner's socket")

    def start_orchestrator(self) -> None:
        self.orchestrator = self._start("orchestrator", "orchestrator.log")
        with self.client() as client:  # one: each reads all certificates there are
            wait_for(lambda: self._answers(client), "the orchestrator")
        self._number_sessions()

    def mend(self) -> None:
        """Start again what does not run."""
        if self.spawner is None or self.spawner.poll() is not None:
            self.start_spawner()
        if self.orchestrator is None or self.orchestrator.poll() is not None:
            self.start_orchestrator()

    def kill(self, process: subprocess.Popen[bytes] | None, number: int = signal.SIGKILL) -> None:
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(20)

    def stop(self) -> None:
        self.kill(self.orchestrator, signal.SIGTERM)
        self.kill(self.spawner, signal.SIGTERM)
        for _ in range(3):  # the engine may still be at what it was asked for last
            for container in self.containers():
                docker("rm", "-f", container)
            time.sleep(0.2)

    def containers(self, *filters: str) -> list[str]:
        arguments = ["ps", "-aq", "--filter", f"label=glovebox.instance={self.instance}"]
        for one in filters:
            arguments += ["--filter", one]
        return docker(*arguments).split()

    def container_of(self, session_id: str) -> str:
        (found,) = self.containers(f"label=glovebox.session={session_id}")
        return found

    def client(self, **options: Any) -> httpx2.Client:
        # Without `verify` each would read all certificates there are, and there is no TLS here.
        return httpx2.Client(base_url=self.url, timeout=300, trust_env=False, verify=False, **options)

    def counted(self, name: str) -> float:
        """Return a counter of the orchestrator's, with all its labels taken together."""
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def command(self, module: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command beside what runs, on the same data."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self, name: str) -> str:
        return (self.folder / name).read_text()

    def _start(self, module: str, log: str) -> subprocess.Popen[bytes]:
        how = ["-c", _WITH_LIMITS, module, json.dumps(self._limits)]
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *how], cwd=ROOT, env=self._environ, stdout=output, stderr=subprocess.STDOUT
            )

    def _number_sessions(self) -> None:
        """Begin far from other stacks: uids of sandboxes come of these numbers, and a kernel counts by uid."""
        path = self.folder / "data" / "glovebox.sqlite"
        if not path.exists():
            return
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database, database:
            highest = database.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'sessions'").fetchone()[0]
            if (highest or 0) < self._first_number:
                database.execute("DELETE FROM sqlite_sequence WHERE name = 'sessions'")
                database.execute("INSERT INTO sqlite_sequence VALUES ('sessions', ?)", (self._first_number,))

    def _answers(self, client: httpx2.Client) -> bool:
        assert self.orchestrator is None or self.orchestrator.poll() is None, self.log("orchestrator.log")
        with contextlib.suppress(httpx2.HTTPError):
            return client.get("/healthz").status_code == 200
        return False


@contextlib.contextmanager
def running_stack(folder: Path, runtime: str = "runc") -> Iterator[Stack]:
    """Run a stack, and make sure that nothing of it is left."""
    with stopping_stack(Stack(folder, runtime=runtime)) as stack:
        yield stack


@contextlib.contextmanager
def stopping_stack(stack: Stack) -> Iterator[Stack]:
    """Run this stack, and make sure that nothing of it is left."""
    try:
        stack.start_spawner()
        stack.start_orchestrator()
        yield stack
    finally:
        stack.stop()
    assert stack.containers() == [], "the tests left containers behind"


class ApiSession:
    """One session of a stack, as a script would use it."""

    def __init__(self, client: httpx2.Client, **body: Any) -> None:
        self.client = client
        made = client.post("/v1/sessions", json=body)
        assert made.status_code == 201, made.text
        self.id: str = made.json()["id"]
        self.path = f"/v1/sessions/{self.id}"

    def run(self, code: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(f"{self.path}/executions", json={"code": code, **body})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def printed(self, code: str) -> str:
        """Run a cell that must work and return what it printed."""
        cell = self.run(code)
        assert cell["status"] == "ok", cell
        return "".join(o["text"] for o in cell["outputs"] if o.get("name") == "stdout")

    def events(self, code: str, **body: Any) -> Iterator[dict[str, Any]]:
        with self.client.stream(
            "POST",
            f"{self.path}/executions",
            json={"code": code, **body},
            headers={"Accept": "application/x-ndjson"},
        ) as answer:
            for line in answer.iter_lines():
                yield json.loads(line)

    def say(self, content: str, **body: Any) -> Iterator[dict[str, Any]]:
        with self.client.stream("POST", f"{self.path}/messages", json={"content": content, **body}) as answer:
            assert answer.status_code == 200, answer.read()
            yield from sse_events(answer)

    def put(self, path: str, content: bytes) -> None:
        answer = self.client.put(f"{self.path}/files/{path}", content=content)
        assert answer.status_code in (200, 201), answer.text

    def files(self) -> dict[str, int]:
        return {file["path"]: file["size"] for file in self.client.get(f"{self.path}/files").json()}

    def delete(self) -> None:
        assert self.client.delete(self.path).status_code == 204


MakeSession = Callable[..., ApiSession]


def sse_events(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a server-sent stream, each with its number as `id`."""
    number = 0
    for line in answer.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            yield {"id": number, **json.loads(line[6:])}


def wait_for(condition: Any, what: str, seconds: float = _START_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on, of those that no outgoing connection is given meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
