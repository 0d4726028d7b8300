"""Warm sandboxes: a new session has one at once, nobody gets a used one, and none is left over."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import docker
from tests.stack import ApiSession, Stack, profiles, stopping_stack, wait_for

PLANT = """
import os, pathlib, site, subprocess, sys
os.environ["PLANTED"] = "1"
home = pathlib.Path.home()
for place in ("/mnt/data", "/tmp", home, home / ".ipython/profile_default/startup", "/run/glovebox", "/dev/shm"):
    try:
        pathlib.Path(place).mkdir(parents=True, exist_ok=True)
        pathlib.Path(place, "planted.py").write_text("import os; os.environ['PLANTED'] = '1'")
    except OSError:
        pass
subprocess.Popen(["/bin/sleep", "1234"], start_new_session=True)
"""
LOOK = """
import os, pathlib
found = [str(p) for place in ("/mnt/data", "/tmp", pathlib.Path.home(), "/run/glovebox", "/dev/shm")
         for p in pathlib.Path(place).rglob("*planted*")]
for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        if b"1234" in entry.read_bytes():
            found.append(str(entry))
    except OSError:
        pass
print(found, "PLANTED" in os.environ, sorted(n for n in globals() if not n.startswith("_") and n not in (
    "In", "Out", "get_ipython", "exit", "quit", "open", "os", "pathlib", "found", "entry")))
"""


@pytest.fixture
def warm_stack(tmp_path: Path, runtime: str) -> Iterator[Stack]:
    """A stack of one test's own: others would take its warm sandboxes."""
    known = profiles(runtime)
    pool = known | {"warm": {**known["standard"], "warm": 1, "warm_most": 2}}
    with stopping_stack(Stack(tmp_path, {"profiles": pool}, runtime=runtime)) as stack:
        yield stack


def rows(stack: Stack) -> list[tuple[str, str]]:
    database = sqlite3.connect(stack.folder / "data" / "glovebox.sqlite")
    try:
        return list(database.execute("SELECT id, owner FROM sessions ORDER BY number"))
    finally:
        database.close()


def warm(stack: Stack) -> list[str]:
    """Return the ids of the sessions that wait."""
    return [session_id for session_id, owner in rows(stack) if owner == ""]


def wait_until_warm(stack: Stack, count: int = 1) -> list[str]:
    def waits() -> bool:
        return stack.counted("glovebox_warm_sandboxes") == count

    wait_for(waits, f"{count} warm sandboxes")
    return warm(stack)


def test_a_new_session_has_a_kernel_at_once_and_the_pool_is_filled_again(warm_stack: Stack) -> None:
    (waiting,) = wait_until_warm(warm_stack)
    container = warm_stack.container_of(waiting)
    with warm_stack.client() as client:
        assert client.get("/v1/sessions").json() == [], "nobody sees what waits"
        assert client.get(f"/v1/sessions/{waiting}").status_code == 404
        session = ApiSession(client, profile="warm", name="mine")
        assert session.id == waiting
        about = client.get(session.path).json()
        assert (about["state"], about["name"]) == ("ready", "mine")
        cell = session.run("import sys; print('pandas' in sys.modules, dir())")
        assert cell["execution_count"] == 1
        assert cell["outputs"][0]["text"].startswith("True ")
        assert "pandas" not in cell["outputs"][0]["text"].partition(" ")[2]
        assert warm_stack.container_of(session.id) == container
    assert waiting not in wait_until_warm(warm_stack, 2), "demand makes it grow up to `warm_most`"


@pytest.mark.any_runtime
def test_fresh_means_fresh(warm_stack: Stack) -> None:
    with warm_stack.client() as client:
        wait_until_warm(warm_stack)
        first = ApiSession(client, profile="warm")
        assert first.run(PLANT)["status"] == "ok"
        assert "True" in first.printed(LOOK), "the probe finds what was planted"
        first.delete()
        for _ in range(2):  # drain the pool twice
            for waiting in wait_until_warm(warm_stack, 2):
                session = ApiSession(client, profile="warm")
                assert session.id == waiting
                assert session.printed(LOOK) == "[] False []\n"
                session.delete()


@pytest.mark.any_runtime
def test_a_warm_sandbox_that_died_is_nobodys(warm_stack: Stack) -> None:
    (waiting,) = wait_until_warm(warm_stack)
    docker("kill", warm_stack.container_of(waiting))
    with warm_stack.client() as client:
        session = ApiSession(client, profile="warm")
        assert session.id != waiting
        assert session.printed("print(1)") == "1\n"
        wait_for(lambda: waiting not in dict(rows(warm_stack)), "its row to go")
        assert not (warm_stack.folder / "data" / "sessions" / waiting).exists()


@pytest.mark.any_runtime
def test_nothing_that_waited_outlives_a_killed_orchestrator(warm_stack: Stack) -> None:
    (waiting,) = wait_until_warm(warm_stack)
    with warm_stack.client() as client:
        session = ApiSession(client, profile="warm")
        assert session.id == waiting
        session.run("x = 1")
        left = wait_until_warm(warm_stack, 2)
        warm_stack.kill(warm_stack.orchestrator)
        warm_stack.start_orchestrator()
        again = wait_until_warm(warm_stack)
        assert not set(left) & set(again)
        assert session.printed("print(x)") == "1\n", "what was given away is a session like any other"
        folders = {path.name for path in (warm_stack.folder / "data" / "sessions").iterdir()}
        assert folders == {session.id, *again}
        assert len(warm_stack.containers()) == 2
