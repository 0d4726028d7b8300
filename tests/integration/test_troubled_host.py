"""A host in trouble: a full disk, a locked database, a clock that jumps, an engine that is restarted."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from tests.engine import docker
from tests.postgres import running_postgres
from tests.stack import ApiSession, Stack, running_stack, stopping_stack, wait_for

pytestmark = pytest.mark.any_runtime


@pytest.fixture
def own_stack(tmp_path: Path, runtime: str) -> Iterator[Stack]:
    """A stack for one test, whose host is in trouble."""
    with running_stack(tmp_path, runtime) as stack:
        yield stack


@contextmanager
def locked_database(stack: Stack) -> Iterator[None]:
    """Hold the lock that a writer needs, as a backup tool or a forgotten shell does."""
    engine = create_engine(f"sqlite:///{stack.folder / 'data' / 'glovebox.sqlite'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.rollback()
    engine.dispose()


def test_a_locked_database_is_told_and_a_cell_that_ends_meanwhile_is_stored_when_it_is_free(own_stack: Stack) -> None:
    with own_stack.client() as client, own_stack.client() as other:
        session = ApiSession(client)
        session.run("1")
        cells: list[dict[str, Any]] = []
        run = threading.Thread(target=lambda: cells.append(session.run("open('ran', 'w').close()\nprint('kept')")))
        with locked_database(own_stack):
            run.start()
            wait_for(lambda: "ran" in session_files(own_stack, session), "the cell to be through")
            refused = other.post("/v1/sessions", json={})
            assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable"), refused.text
            assert "try again" in refused.json()["detail"]
            assert other.get("/healthz").status_code == 200
            assert cells == [], "nothing is told before it is stored"
        run.join(60)
        assert cells[0]["outputs"][0]["text"] == "kept\n"
        assert len(other.get("/v1/sessions").json()) == 1
        own_stack.kill(own_stack.orchestrator)
        own_stack.start_orchestrator()
        assert session.printed("print('and on')") == "and on\n"


def session_files(stack: Stack, session: ApiSession) -> list[str]:
    """Look at a workspace past the API, which may wait for its database."""
    return os.listdir(stack.folder / "data" / "sessions" / session.id / "workspace")


def test_a_disk_that_is_full_is_told_and_all_is_well_when_there_is_room_again(tmp_path: Path, runtime: str) -> None:
    with small_disk(tmp_path / "data", 48), running_stack(tmp_path, runtime) as stack, stack.client() as client:
        session = ApiSession(client)
        session.put("kept.bin", b"k" * 1_000_000)
        assert session.printed("x = 7; print(x)") == "7\n"
        filler = stack.folder / "data" / "filler"
        fill(filler)
        refused = client.put(f"{session.path}/files/big.bin", content=b"b" * 8_000_000)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full"), refused.text
        assert "The host's disk is full" in refused.json()["detail"]
        made: list[str] = []
        for _ in range(40):  # the database has some room of its own at first
            answer = client.post("/v1/sessions", json={"name": "n" * 200})
            if answer.status_code == 503:
                break
            made.append(answer.json()["id"])
        assert answer.json()["code"] == "database_unavailable", answer.text
        assert "is full" in answer.json()["detail"]
        assert client.get(f"{session.path}/files/kept.bin").content == b"k" * 1_000_000
        filler.unlink()
        assert session.printed("print(x)") == "7\n"
        stack.kill(stack.orchestrator)
        stack.start_orchestrator()
        listed = {one["id"] for one in client.get("/v1/sessions").json()}
        assert listed == {session.id, *made}, "what was told is there, and nothing else"
        assert session.files() == {"kept.bin": 1_000_000}
        session.put("big.bin", b"b" * 8_000_000)
        session.delete()


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[None]:
    """Mount an ext4 file system of this size."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(mib * 2**20)
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write a file until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 4096):
            try:
                while file.write(b"\x00" * size):
                    pass
            except OSError:
                continue


def test_a_postgres_that_is_killed_is_told_and_nothing_that_was_told_is_lost(tmp_path: Path, runtime: str) -> None:
    with running_postgres() as server:
        environ = {"GLOVEBOX_DATABASE_URL": server.url(server.make()).replace("+psycopg", "")}
        with stopping_stack(Stack(tmp_path, environ=environ, runtime=runtime)) as stack, stack.client() as client:
            session = ApiSession(client, name="kept")
            assert session.printed("print('before')") == "before\n"
            assert list(session.say("demo:run print('said')"))[-1]["status"] == "done"
            cells: list[dict[str, Any]] = []
            code = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)\nprint('meanwhile')"
            run = threading.Thread(target=lambda: cells.append(session.run(code)))
            run.start()
            wait_for(lambda: client.get(session.path).json()["state"] == "busy", "the cell")
            server.kill()
            (stack.folder / "data" / "sessions" / session.id / "workspace" / "go").touch()
            refused = client.post("/v1/sessions", json={})
            assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable"), refused.text
            assert client.get("/readyz").status_code == 503
            server.start()
            run.join(60)
            assert cells[0]["outputs"][0]["text"] == "meanwhile\n"
            assert session.printed("print('after')") == "after\n"
            stack.kill(stack.orchestrator)
            server.kill(signal.SIGKILL)
            wait_for(lambda: not server_processes(server.folder), "all of the server to be gone")
            server.start()
            stack.start_orchestrator()
            assert [one["name"] for one in client.get("/v1/sessions").json()] == ["kept"]
            parts = client.get(f"{session.path}/messages").json()[1]["parts"]
            assert [part["outputs"][0]["text"] for part in parts if part["type"] == "cell"] == ["said\n"]
            assert not (tmp_path / "data" / "glovebox.sqlite").exists()
            session.delete()


def server_processes(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif("GLOVEBOX_TEST_DOCKERD" not in os.environ, reason="restarts the host's engine, so only when asked")
def test_an_engine_that_is_killed_and_started_again_costs_variables_and_nothing_else(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.put("kept.txt", b"kept")
        assert list(session.say("demo:run print('said')"))[-1]["status"] == "done"
        engine = int(Path("/var/run/docker.pid").read_text())
        command = Path(f"/proc/{engine}/cmdline").read_bytes().rstrip(b"\x00").split(b"\x00")
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{engine}").exists(), "the engine's end")
        refused = client.post("/v1/sessions", json={})
        assert refused.status_code == 201, "a session needs no engine before its first cell"
        Path("/var/run/docker.pid").unlink(missing_ok=True)
        with open("/var/log/glovebox-dockerd.log", "ab") as log:
            subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(engine_answers, "the engine")
        assert session.printed("print(open('kept.txt').read())") == "kept\n"
        assert client.get(f"{session.path}/messages").json()[1]["status"] == "done"


def engine_answers() -> bool:
    try:
        return bool(docker("info", "--format", "{{.ServerVersion}}"))
    except AssertionError:
        return False
