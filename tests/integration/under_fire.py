"""Users who note what they were told was done, beside somebody who kills, and what must be left of it afterwards."""

import hashlib
import json
import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil

from tests.engine import docker
from tests.stack import Stack, sse_events, wait_for

_THINKS_S = (0.05, 0.4)


@dataclass
class Told:
    """What one session's user was told: everything here must be there whatever was killed."""

    path: str
    files: dict[str, str] = field(default_factory=dict)  # path to digest
    cells: dict[str, str] = field(default_factory=dict)  # id to what it printed
    messages: dict[str, str] = field(default_factory=dict)  # an answer's id to what its cell printed
    deleted: bool = False
    deletion_asked: bool = False

    @property
    def id(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class User(threading.Thread):
    """One who makes sessions, uploads, runs cells, chats and now and then deletes; never asks twice."""

    def __init__(self, stack: Stack, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"user {number}", daemon=True)
        self._client = stack.client()
        self._random = random.Random(number)
        self._stop_asked = stop
        self.told: list[Told] = []
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def run(self) -> None:
        with self._client:
            while not self._stop_asked.is_set():
                with suppress(httpx2.HTTPError, _Refused):
                    self._use_a_session()
                self._stop_asked.wait(0.2)

    def _use_a_session(self) -> None:
        made = self._asked("session", self._client.post("/v1/sessions", json={}))
        session = Told(f"/v1/sessions/{made['id']}")
        self.told.append(session)
        steps: list[Callable[[Told], None]] = [self._upload, self._cell, self._cell_that_writes, self._say]
        for step in self._random.choices(steps, weights=(4, 4, 2, 1), k=self._random.randrange(6, 25)):
            if self._stop_asked.wait(self._random.uniform(*_THINKS_S)):
                return
            try:
                step(session)
            except (httpx2.HTTPError, _Refused) as error:
                self.refused[f"{step.__name__}: {error}"[:90]] += 1
        if self._random.random() < 0.5:
            session.deletion_asked = True
            self._asked("delete", self._client.delete(session.path))
            session.deleted = True

    def _upload(self, session: Told) -> None:
        content = self._random.randbytes(self._random.randrange(1, 200_000))
        name = f"up-{len(session.files)}-{self._word()}.bin"
        self._asked("upload", self._client.put(f"{session.path}/files/{name}", content=content))
        session.files[name] = hashlib.sha256(content).hexdigest()

    def _cell(self, session: Told) -> None:
        word = self._word()
        self._run(session, f"print({word!r})", word)

    def _cell_that_writes(self, session: Told) -> None:
        word = self._word()
        name = f"cell-{word}.txt"
        self._run(session, f"_ = open({name!r}, 'w').write({word!r}); print({word!r})", word)
        session.files[name] = hashlib.sha256(word.encode()).hexdigest()

    def _run(self, session: Told, code: str, word: str) -> None:
        cell = self._asked("cell", self._client.post(f"{session.path}/executions", json={"code": code}))
        if cell["status"] != "ok":
            raise _Refused(f"cell {cell['status']}")
        assert _printed(cell["outputs"]) == word
        session.cells[cell["cell_id"]] = word

    def _say(self, session: Told) -> None:
        word = self._word()
        body = {"content": f"demo:run print({word!r})"}
        with self._client.stream("POST", f"{session.path}/messages", json=body) as answer:
            if answer.status_code != 200:
                raise _Refused(str(answer.status_code))
            events = list(sse_events(answer))
        status = {event["cell_id"]: event["status"] for event in events if event["type"] == "cell_finished"}
        if events[-1].get("status") != "done" or set(status.values()) != {"ok"}:
            raise _Refused(f"turn {events[-1].get('status')}")
        (begun,) = [event for event in events if event["type"] == "turn_started"]
        session.messages[begun["message_id"]] = word
        self.done["turn"] += 1

    def _word(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def _asked(self, what: str, answer: httpx2.Response) -> dict[str, Any]:
        if not answer.is_success:
            problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            raise _Refused(f"{answer.status_code} {problem.get('code', '')}")
        self.done[what] += 1
        found: dict[str, Any] = answer.json() if answer.content and "json" in answer.headers["content-type"] else {}
        return found


class _Refused(Exception):
    """It was not done, and the user was told so."""


class Killer:
    """Kills parts of a stack with SIGKILL, and starts again what a service manager would."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self.killed: Counter[str] = Counter()

    def kill_one(self) -> None:
        """Kill something; what is most of the state is killed most often."""
        kinds = {
            self._orchestrator: 3,
            self._spawner: 2,
            self._kernel: 3,
            self._bridge: 2,
            self._keeper: 1,
            self._container: 2,
        }
        (kind,) = self._random.choices([*kinds], weights=[*kinds.values()])
        if kind():
            self.killed[kind.__name__.lstrip("_")] += 1

    def _orchestrator(self) -> bool:
        self._stack.kill(self._stack.orchestrator)
        self._stack.start_orchestrator()
        return True

    def _spawner(self) -> bool:
        self._stack.kill(self._stack.spawner)
        self._stack.start_spawner()
        return True

    def _kernel(self) -> bool:
        return self._process(lambda one: os.getpgid(one.pid) == one.pid)

    def _bridge(self) -> bool:
        return self._process(lambda one: os.getpgid(one.pid) != one.pid)

    def _keeper(self) -> bool:
        return self._process(None)

    def _container(self) -> bool:
        found = self._stack.containers()
        if not found:
            return False
        with suppress(AssertionError):  # it went by itself
            docker("kill", self._random.choice(found))
        return True

    def _process(self, is_it: Callable[[psutil.Process], bool] | None) -> bool:
        """Kill one process of a random sandbox: a child of the keeper, or the keeper."""
        for container in self._random.sample(found := self._stack.containers("status=running"), len(found)):
            with suppress(AssertionError, psutil.Error, ProcessLookupError):
                init = psutil.Process(int(docker("inspect", "--format", "{{.State.Pid}}", container)))
                (keeper,) = init.children()
                chosen = [keeper] if is_it is None else [one for one in keeper.children() if is_it(one)]
                if chosen:
                    self._random.choice(chosen).send_signal(signal.SIGKILL)
                    return True
        return False


@contextmanager
def users(stack: Stack, count: int) -> Iterator[list[User]]:
    """Have users at work."""
    stop = threading.Event()
    working = [User(stack, number, stop) for number in range(count)]
    for user in working:
        user.start()
    try:
        yield working
    finally:
        stop.set()
        for user in working:
            user.join(180)
            assert not user.is_alive(), f"{user.name} still waits for an answer"


def assert_all_is_there(stack: Stack, told: list[Told]) -> None:
    """Compare what users were told with what there is."""
    with stack.client() as client:
        mine = {session["id"] for session in client.get("/v1/sessions").json()}
        for session in told:
            if session.deletion_asked:
                assert not (session.deleted and session.id in mine), "a deleted session is back"
                continue
            assert session.id in mine, f"session {session.id} is gone"
            for name, digest in session.files.items():
                answer = client.get(f"{session.path}/files/{name}")
                assert answer.status_code == 200, (session.id, name, answer.text)
                assert hashlib.sha256(answer.content).hexdigest() == digest, (session.id, name)
            messages = {one["id"]: one for one in client.get(f"{session.path}/messages").json()}
            for message_id, word in session.messages.items():
                answer_parts = messages[message_id]["parts"]
                assert messages[message_id]["status"] == "done", messages[message_id]
                assert [_printed(part["outputs"]) for part in answer_parts if part["type"] == "cell"] == [word]
    rows = _rows(stack, "cell_id, status, outputs", "cells")
    stored = {cell_id: (status, outputs) for cell_id, status, outputs in rows}
    for session in told:
        for cell_id, word in session.cells.items() if not session.deletion_asked else ():
            status, outputs = stored[cell_id]
            assert (status, _printed(json.loads(outputs))) == ("ok", word), cell_id


def assert_nothing_is_orphaned(stack: Stack) -> None:
    """See that rows, folders and containers belong together; what is being tidied up gets some time for it."""

    def left() -> list[str]:
        rows = dict(_rows(stack, "id, owner", "sessions"))
        folders = {path.name for path in (stack.folder / "data" / "sessions").iterdir()}
        names = docker(
            "ps", "-a", "--filter", f"label=glovebox.instance={stack.instance}",
            "--format", '{{.Label "glovebox.session"}} {{.State}}',
        ).splitlines()  # fmt: skip
        containers = dict(line.split() for line in names)
        found = [f"folder {name}" for name in folders - rows.keys()]
        found += [f"container {name}" for name in containers.keys() - rows.keys()]
        found += [f"dead container {name}" for name, state in containers.items() if state != "running"]
        found += [f"warm row {name}" for name, owner in rows.items() if owner == "" and name not in containers]
        found += [f"half an upload {path}" for path in (stack.folder / "data").glob("sessions/*/incoming/*")]
        found += [f"trash {path}" for path in (stack.folder / "data").glob("trash/*")]
        for table, key in (("messages", "id"), ("cells", "cell_id")):
            of = _rows(stack, f"{key}, session_id, status", table)
            found += [f"{table} row {one} without a session" for one, session, _ in of if session not in rows]
            found += [f"{table} row {one} that never ended" for one, _, status in of if status == "running"]
        return found

    seen: list[str] = []

    def nothing() -> bool:
        seen[:] = left()
        return not seen

    try:
        wait_for(nothing, "all to belong to somebody", 60)
    except AssertionError as error:
        raise AssertionError(f"orphans: {seen[:10]}") from error


def _rows(stack: Stack, columns: str, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(stack.folder / "data" / "glovebox.sqlite", timeout=30)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table}").fetchall()


def _printed(outputs: list[dict[str, Any]]) -> str:
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout").strip()
