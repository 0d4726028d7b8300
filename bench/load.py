"""Many users at once, for minutes: each uploads a table, runs cells, draws a plot, downloads, and does it again.

It uses the public API only, so it can be let loose on any Glovebox that runs (`--url`), with a token for each user.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx2

from bench.load_figures import Refused, Tallied, UnexpectedAnswer
from bench.progress import say

_TIMEOUT_S = 120.0
_THINKS_S = (0.5, 2.0)  # between two steps, as a person at a keyboard
_REFUSED_PAUSE_S = 2.0
_CELLS = 5
_ROUNDS = 10  # of a session: some minutes
_ROWS = 2000
_SAID_EACH_S = 30.0
_TOO_MANY = 429

_READ = "import pandas as pd; table = pd.read_csv('table.csv'); print(len(table), int(table.value.sum()))"
_SIMPLE = "1+1"
_PLOT = "import matplotlib.pyplot as plt; table.plot(x='day', y='value'); plt.savefig('plot.png'); plt.show()"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Load:
    """How much: users at once, for how many seconds, and their tokens (all users' one, or one each, or none)."""

    url: str
    users: int
    seconds: float
    tokens: Sequence[str] = field(default=())


def run_load(load: Load) -> Tallied:
    """Let all users work for so long and return what came of it."""
    tallied = Tallied()
    stop = threading.Event()
    with ThreadPoolExecutor(load.users, "user") as threads:
        working = [threads.submit(_User(load, number, tallied).work, stop) for number in range(load.users)]
        try:
            _wait(load.seconds, tallied)
        finally:
            stop.set()
        for one in working:
            one.result()
    return tallied


def _wait(seconds: float, tallied: Tallied) -> None:
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(left, _SAID_EACH_S))
        say(f"load: {max(0, ends_at - time.monotonic()):.0f} s to go, {tallied.summary()}")


class _User:
    """One user with one session at a time; steps are timed, and whatever goes wrong is counted by its kind."""

    def __init__(self, load: Load, number: int, tallied: Tallied) -> None:
        token = load.tokens[number % len(load.tokens)] if load.tokens else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(base_url=load.url, timeout=_TIMEOUT_S, headers=headers, trust_env=False)
        self._random = random.Random(number)
        self._values = [self._random.randrange(1000) for _ in range(_ROWS)]
        self._tallied = tallied
        self._path = ""

    def work(self, stop: threading.Event) -> None:
        """Use session after session until told to stop."""
        with self._client:
            while not stop.is_set():
                self._use_a_session(stop)

    def _use_a_session(self, stop: threading.Event) -> None:
        if not self._step("session", self._make_session):
            stop.wait(_REFUSED_PAUSE_S)
            return
        round_of_steps: list[tuple[str, Callable[[], None]]] = [
            *[("1+1", self._simple_cell)] * _CELLS,
            ("upload", self._upload),
            ("read table", self._read_table),
            ("plot", self._plot),
            ("download", self._download),
        ]
        for name, step in [("first cell", self._simple_cell), *round_of_steps * _ROUNDS]:
            if stop.wait(self._random.uniform(*_THINKS_S)) or not self._step(name, step):
                break
        self._step("delete", self._delete)

    def _step(self, name: str, step: Callable[[], None]) -> bool:
        """Do a step and note what came of it; tell whether it went well."""
        began = time.perf_counter()
        try:
            step()
        except Refused:
            self._tallied.refused(name)
            return False
        except (UnexpectedAnswer, httpx2.HTTPError) as error:
            self._tallied.failed(name, error)
            return False
        self._tallied.took(name, time.perf_counter() - began)
        return True

    def _make_session(self) -> None:
        self._path = f"/v1/sessions/{_checked(self._client.post('/v1/sessions', json={})).json()['id']}"

    def _upload(self) -> None:
        rows = "".join(f"{day},{value}\n" for day, value in enumerate(self._values))
        _checked(self._client.put(f"{self._path}/files/table.csv", content=f"day,value\n{rows}".encode()))

    def _read_table(self) -> None:
        self._run(_READ, f"{_ROWS} {sum(self._values)}")

    def _simple_cell(self) -> None:
        self._run(_SIMPLE, "2")

    def _plot(self) -> None:
        if not any("image/png" in output.get("data", {}) for output in self._cell(_PLOT)):
            raise UnexpectedAnswer("a plot without a picture")

    def _download(self) -> None:
        content = _checked(self._client.get(f"{self._path}/files/plot.png")).content
        if not content.startswith(_PNG):
            raise UnexpectedAnswer("a downloaded picture that is none")

    def _delete(self) -> None:
        _checked(self._client.delete(self._path))

    def _run(self, code: str, expected: str) -> None:
        shown = "".join(output.get("text") or output["data"]["text/plain"] for output in self._cell(code))
        if shown.strip() != expected:
            raise UnexpectedAnswer("a cell with another result than it has")

    def _cell(self, code: str) -> list[dict[str, Any]]:
        cell = _checked(self._client.post(f"{self._path}/executions", json={"code": code})).json()
        if cell["status"] != "ok":
            raise UnexpectedAnswer(f"a cell that ended with {cell['status']}")
        outputs: list[dict[str, Any]] = cell["outputs"]
        return outputs


def _checked(reply: httpx2.Response) -> httpx2.Response:
    if reply.status_code == _TOO_MANY:
        raise Refused
    if not reply.is_success:
        problem = reply.json() if "json" in reply.headers.get("content-type", "") else {}
        raise UnexpectedAnswer(f"{reply.status_code} {problem.get('code', '')}".strip())
    return reply
