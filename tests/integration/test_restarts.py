"""One process can be killed at any instant and nothing is lost."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.engine import docker
from tests.stack import ApiSession, Stack, running_stack, stopping_stack, wait_for


@pytest.fixture(scope="module")
def standing_stack(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), runtime) as stack:
        yield stack


@pytest.fixture
def own_stack(standing_stack: Stack) -> Iterator[Stack]:
    """A stack that holds nothing, whose parts a test may kill: what is dead is started again for the next one."""
    standing_stack.mend()
    yield standing_stack
    standing_stack.mend()
    with standing_stack.client() as client:
        for session in client.get("/v1/sessions").json():
            client.delete(f"/v1/sessions/{session['id']}")
    for container in standing_stack.containers():
        docker("rm", "-f", container)


def test_a_killed_orchestrator_adopts_the_running_kernel_with_its_variables(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.run("x = 7; open('a.txt', 'w').write('a')")
        list(session.say("demo:run print('said')"))
        container = own_stack.container_of(session.id)
        own_stack.kill(own_stack.orchestrator)
        own_stack.start_orchestrator()
        assert session.printed("print(x)") == "7\n"
        assert own_stack.container_of(session.id) == container
        assert session.files() == {"a.txt": 1}
        assert len(client.get(f"{session.path}/messages").json()) == 2


@pytest.mark.any_runtime
def test_a_turn_that_a_crash_cut_off_is_marked_and_the_session_goes_on(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        for event in session.say("demo:slow"):
            if event["type"] == "text_delta":
                own_stack.kill(own_stack.orchestrator)
                break
        own_stack.start_orchestrator()
        question, answer = client.get(f"{session.path}/messages").json()
        assert question["content"] == "demo:slow"
        assert answer["status"] == "lost"
        assert list(session.say("hello"))[-1]["status"] == "done"


@pytest.mark.any_runtime
def test_a_killed_container_is_made_again_with_the_files_in_place(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.run("open('a.txt', 'w').write('a')")
        docker("rm", "-f", own_stack.container_of(session.id))
        assert session.printed("print(open('a.txt').read())") == "a\n"


@pytest.mark.any_runtime
def test_containers_that_nobody_owns_are_removed_at_start(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.run("1")
    own_stack.kill(own_stack.orchestrator)
    labels = [f"glovebox.instance={own_stack.instance}", f"glovebox.session={'f' * 32}", "glovebox.profile=standard"]
    arguments = [part for label in labels for part in ("--label", label)]
    arguments += ["--name", f"{own_stack.instance}-{'f' * 32}"]
    docker("run", "-d", *arguments, "--network", "none", "--entrypoint", "/bin/sleep", "glovebox-sandbox:latest", "600")
    assert len(own_stack.containers()) == 2
    own_stack.start_orchestrator()
    assert own_stack.containers() == [own_stack.container_of(session.id)]


@pytest.mark.any_runtime
def test_an_upload_that_a_crash_cut_off_leaves_no_half_file(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.put("a.bin", b"whole")
        incoming = own_stack.folder / "data" / "sessions" / session.id / "incoming"
        with socket.create_connection(("127.0.0.1", own_stack.port)) as line:
            head = f"PUT {session.path}/files/a.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000\r\n\r\n"
            line.sendall(head.encode() + b"x" * 8_000_000)
            wait_for(lambda: any(incoming.iterdir()), "the upload to begin")
            own_stack.kill(own_stack.orchestrator)
        own_stack.start_orchestrator()
        assert client.get(f"{session.path}/files/a.bin").content == b"whole"
        assert list(incoming.iterdir()) == []


@pytest.mark.any_runtime
def test_a_cell_that_outlives_a_crash_is_shown_exported_and_can_be_interrupted(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        for event in session.say("demo:run import time\nprint('begun', flush=True)\ntime.sleep(60)"):
            if event["type"] == "stream":
                own_stack.kill(own_stack.orchestrator)
                break
        own_stack.start_orchestrator()
        (cell,) = [part for part in client.get(f"{session.path}/messages").json()[1]["parts"] if part["type"] == "cell"]
        assert (cell["status"], cell["code"].startswith("import time")) == ("running", True)
        assert "time.sleep(60)" in client.get(f"{session.path}/export").text
        wait_for(lambda: client.get(session.path).json()["state"] == "busy", "the cell to be taken up")
        client.post(f"{session.path}/interrupt")
        assert ended(client, session)["status"] == "interrupted"


@pytest.mark.any_runtime
def test_an_engine_that_goes_away_in_the_middle_is_an_error_and_nothing_runs_elsewhere(tmp_path: Path) -> None:
    """Others fell back to running the code in their own process."""
    way = tmp_path / "engine.sock"
    way.symlink_to("/var/run/docker.sock")
    with stopping_stack(Stack(tmp_path, environ={"DOCKER_HOST": f"unix://{way}"})) as stack, stack.client() as client:
        session = ApiSession(client)
        session.run("open('a.txt', 'w').write('a')")
        way.unlink()
        stack.kill(stack.spawner)  # it has connections that live on
        stack.start_spawner()
        docker("rm", "-f", stack.container_of(session.id))
        answer = client.post(f"{session.path}/executions", json={"code": "open('ran.txt', 'w').close()"})
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
        assert list(session.say("demo:run open('ran.txt', 'w').close()"))[-1]["problem"]["code"] == "engine_unavailable"
        assert session.files() == {"a.txt": 1}
        assert stack.containers() == []
        way.symlink_to("/var/run/docker.sock")
        assert session.printed("print(open('a.txt').read())") == "a\n"
        session.delete()


@pytest.mark.any_runtime
def test_a_runtime_that_goes_away_in_the_middle_is_an_error_and_no_other_stands_in(
    tmp_path: Path, runtime: str
) -> None:
    with running_stack(tmp_path, runtime) as own_stack, own_stack.client() as client:
        session = ApiSession(client)
        session.run("open('a.txt', 'w').write('a')")
        docker("rm", "-f", own_stack.container_of(session.id))
        own_stack.kill(own_stack.orchestrator)
        own_stack.kill(own_stack.spawner)
        config = json.loads(own_stack.config.read_text())
        config["profiles"]["standard"]["runtime"] = "no-such-runtime"
        own_stack.config.write_text(json.dumps(config))
        own_stack.start_spawner()
        own_stack.start_orchestrator()
        answer = client.post(f"{session.path}/executions", json={"code": "open('ran.txt', 'w').close()"})
        assert (answer.status_code, answer.json()["code"]) == (503, "runtime_missing")
        assert session.files() == {"a.txt": 1}
        assert own_stack.containers() == []
        session.delete()


COUNT = """import pathlib, time
n = 0
while not pathlib.Path('go').exists():
    print(n, flush=True)
    n += 1
    time.sleep(0.2)
open('done.txt', 'w').write('x')
n"""


def ended(client: httpx2.Client, session: ApiSession, number: int = -1) -> dict[str, Any]:
    """Return a cell of the conversation when it does not run any more."""

    def cell() -> dict[str, Any]:
        parts = client.get(f"{session.path}/messages").json()[-1]["parts"]
        found: dict[str, Any] = [part for part in parts if part["type"] == "cell"][number]
        return found

    wait_for(lambda: cell()["status"] != "running", "the cell's end")
    return cell()


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.any_runtime)])
def test_a_cell_that_runs_while_the_orchestrator_restarts_ends_in_the_conversation(
    own_stack: Stack, how: signal.Signals
) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.run("kept = 'kept'")
        with suppress(httpx2.HTTPError):
            for event in session.say("demo:run " + COUNT):
                if event["type"] == "stream" and "3" in event["text"]:
                    own_stack.kill(own_stack.orchestrator, how)
                    break
        time.sleep(1)  # what is printed meanwhile waits in the sandbox
        own_stack.start_orchestrator()
        wait_for(lambda: client.get(session.path).json()["state"] == "busy", "the cell to be taken up")
        session.put("go", b"")
        cell = ended(client, session)
        assert cell["status"] == "ok", cell
        assert cell["execution_count"] == 2
        last = int(cell["outputs"][-1]["data"]["text/plain"])
        printed = [int(word) for word in cell["outputs"][0]["text"].split()]
        if how is signal.SIGTERM:
            assert printed == list(range(last))
        else:  # a second of what was told already may be missing, and nothing of what came later
            assert printed == sorted(set(printed))
            assert printed[-5:] == list(range(last - 5, last))
            assert len(printed) >= last - 10
        assert {"path": "done.txt", "size": 1, "change": "created"} in cell["files"]
        assert cell["duration_s"] >= 0.2 * last
        assert client.get(f"{session.path}/messages").json()[-1]["status"] == "lost"
        assert session.printed("print(kept)") == "kept\n"


@pytest.mark.any_runtime
def test_a_cell_whose_kernel_died_while_the_orchestrator_was_away_is_lost(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        session.run("1")
        die_when_told = "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.1)\n"
        with suppress(httpx2.HTTPError):
            for event in session.say(f"demo:run {die_when_told}os.remove('go'); os._exit(1)"):
                if event["type"] == "stream":
                    own_stack.kill(own_stack.orchestrator)
                    break
        go = own_stack.folder / "data" / "sessions" / session.id / "workspace" / "go"
        go.touch()
        wait_for(lambda: not go.exists(), "the kernel to have heard")
        time.sleep(2)  # it is dead, and the gateway has noticed and begins another
        own_stack.start_orchestrator()
        assert ended(client, session)["status"] == "sandbox_lost"
        assert session.printed("print('again')") == "again\n"


@pytest.mark.any_runtime
def test_a_cell_whose_container_went_while_the_orchestrator_was_away_is_lost(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        with suppress(httpx2.HTTPError):
            for event in session.say("demo:run print('begun', flush=True)\nimport time; time.sleep(50)"):
                if event["type"] == "stream":
                    own_stack.kill(own_stack.orchestrator)
                    break
        docker("rm", "-f", own_stack.container_of(session.id))
        own_stack.start_orchestrator()
        assert ended(client, session)["status"] == "sandbox_lost"
        assert session.printed("print('again')") == "again\n"
