"""What a sandbox may reach of the network: nothing, the package index, or listed hosts."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import docker
from tests.package_index import PORT, make_wheel, serving, write_index
from tests.stack import STANDARD, ApiSession, MakeSession, Stack, wait_for

FETCH = """
import urllib.request
def fetch(url, method="GET"):
    try:
        print(urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20).read()[:60])
    except Exception as error:
        print(type(error).__name__, error, getattr(error, "read", bytes)().decode())
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("index")
    folder.chmod(0o755)
    greet = "import numpy\ndef hello(): return 'hello from 1.0'\n"
    wheels = [
        make_wheel(folder, "gb_greeting", "1.0", greet, "gb_words>=2"),
        make_wheel(folder, "gb_words", "2.0", "WORDS = ['a', 'b']\n"),
        make_wheel(folder, "tabulate", "99.0", "__version__ = '99.0'\n"),
    ]
    (folder / "hello.txt").write_text("hello from outside")
    write_index(folder, wheels)
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, index: str, runtime: str) -> Iterator[Stack]:
    there = {"name": index, "ports": [PORT], "allow_private": True}
    config: dict[str, Any] = {
        "package_index": {"url": f"http://{index}:{PORT}/simple", "hosts": [there]},
        "profiles": {
            name: {**STANDARD, "runtime": runtime, **profile}
            for name, profile in {
                "standard": {"network": "packages"},
                "closed": {"network": "none"},
                "denied": {"network": "allowlist", "egress": []},
                "listed": {"network": "allowlist", "egress": [there]},
                "public-only": {"network": "allowlist", "egress": [{"name": index, "ports": [PORT]}]},
                "metered": {"network": "allowlist", "egress": [there], "egress_down_mb": 0},
            }.items()
        },
    }
    running = Stack(tmp_path_factory.mktemp("egress"), config)
    try:
        running.start_spawner()
        running.start_orchestrator()
        yield running
    finally:
        running.stop()


def text(cell: dict[str, Any]) -> str:
    """Return what a cell printed, with names of packages spelled one way."""
    return "".join(output.get("text", "") for output in cell["outputs"]).replace("gb_", "gb-")


def test_a_package_is_installed_into_the_workspace_and_survives_restarts(session: ApiSession, stack: Stack) -> None:
    installed = session.run("%pip install gb_greeting")
    assert "Successfully installed gb-greeting-1.0 gb-words-2.0" in text(installed), text(installed)
    use = "import gb_greeting, numpy; print(gb_greeting.hello(), numpy.__file__)"
    assert session.printed(use).startswith("hello from 1.0 /opt/python/")
    assert session.files() == {}, "the environment is no file of the user's"
    assert session.client.post(f"{session.path}/restart").status_code == 204
    assert session.printed(use).startswith("hello from 1.0")
    container = stack.container_of(session.id)
    stack.kill(stack.orchestrator)
    stack.start_orchestrator()
    assert session.printed(use).startswith("hello from 1.0"), "an adopted sandbox has its packages"
    again = session.run("!pip install --upgrade tabulate")
    assert "Successfully installed tabulate-99.0" in text(again), "an adopted sandbox has its way out"
    assert stack.container_of(session.id) == container
    docker("rm", "-f", container)
    assert session.printed(use).startswith("hello from 1.0"), "a new container has its packages"
    run_python = "import subprocess; print(subprocess.getoutput('python -c \"import gb_words, pandas\"'))"
    assert session.printed(run_python) == "\n", "programs that a cell starts see them, too"


@pytest.mark.any_runtime
def test_what_the_policy_forbids_is_told_in_the_persons_terms(
    make_session: MakeSession, stack: Stack, index: str
) -> None:
    session = make_session()
    session.run(FETCH)
    told = session.printed("fetch('http://example.com/')")
    assert f"This session may not reach example.com; its profile allows: {index} (port {PORT})." in told
    told = session.printed("fetch('https://example.com/')")
    assert "403" in told
    assert "example.com" in told
    told = session.printed(f"fetch('http://{index}:{PORT}/', method='POST')")
    assert f"This session may not send POST to {index}; its profile allows there: GET, HEAD." in told
    cell = session.run("%pip install --index-url https://example.com/simple something")
    assert "This session may not reach example.com" in text(cell)


@pytest.mark.any_runtime
def test_an_empty_list_denies_all_and_a_listed_host_is_reached(make_session: MakeSession, index: str) -> None:
    denied, listed, public_only = (make_session(profile=name) for name in ("denied", "listed", "public-only"))
    url = f"http://{index}:{PORT}/hello.txt"
    for session in (denied, listed, public_only):
        session.run(FETCH)
    assert "its profile allows no host" in denied.printed(f"fetch({url!r})")
    assert listed.printed(f"fetch({url!r})") == "b'hello from outside'\n"
    assert "leads to" in public_only.printed(f"fetch({url!r})")


@pytest.mark.any_runtime
def test_without_a_network_pip_says_so_and_still_installs_an_uploaded_wheel(
    make_session: MakeSession, tmp_path: Path, index: str
) -> None:
    session = make_session(profile="closed")
    for call in ("%pip install gb_greeting", "!pip install gb_greeting"):
        assert "this session's profile allows no network" in text(session.run(call))
    offered = "import os; print(os.path.exists('/run/egress'), 'http_proxy' in os.environ)"
    assert session.printed(offered) == "False False\n"
    wheel = make_wheel(tmp_path, "gb_words", "3.0", "WORDS = ['c']\n")
    session.put(wheel.name, wheel.read_bytes())
    assert "Successfully installed gb-words-3.0" in text(session.run(f"%pip install ./{wheel.name}"))
    assert session.printed("import gb_words; print(gb_words.WORDS)") == "['c']\n"


@pytest.mark.any_runtime
def test_bytes_are_counted_for_the_whole_life_of_the_session(make_session: MakeSession, index: str) -> None:
    session = make_session(profile="metered")
    session.run(FETCH)
    assert "hello" not in session.printed(f"fetch('http://{index}:{PORT}/hello.txt')")


def test_the_way_out_cannot_be_replaced_and_is_gone_with_the_sandbox(make_session: MakeSession, stack: Stack) -> None:
    session = make_session(profile="listed")
    told = session.printed(
        "import os\n"
        "os.chdir('/run/egress')\n"
        "for act in (lambda: os.unlink('proxy.sock'), lambda: open('x', 'w'), lambda: os.chmod('.', 0o777),\n"
        "            lambda: os.rename('proxy.sock', '/mnt/data/x')):\n"
        "    try: act(); print('done')\n"
        "    except OSError as error: print(type(error).__name__)"
    )
    assert "done" not in told
    socket = stack.folder / "data" / "sessions" / session.id / "egress" / "proxy.sock"
    assert socket.is_socket()
    session.delete()
    assert not socket.exists()


@pytest.mark.any_runtime
def test_every_request_is_in_the_audit_log(make_session: MakeSession, stack: Stack, index: str) -> None:
    session = make_session(profile="listed")
    session.run(FETCH + f"\nfetch('http://{index}:{PORT}/hello.txt'); fetch('https://example.com/')")
    expected = [("allowed", f"GET {index}:{PORT}"), ("denied", "CONNECT example.com:443")]
    wait_for(lambda: egress_in_audit_log(stack, session) == expected, "the records")


def egress_in_audit_log(stack: Stack, session: ApiSession) -> list[tuple[str, str]]:
    query = "SELECT decision, subject FROM audit WHERE action = 'egress' AND session_id = ? ORDER BY id"
    with contextlib.closing(sqlite3.connect(stack.folder / "data" / "glovebox.sqlite")) as database:
        return database.execute(query, [session.id]).fetchall()
