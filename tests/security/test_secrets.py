"""Canaries of every secret that the orchestrator knows are searched for from inside a sandbox (THREATS S12, S13).

Searched are all files, and the environment, arguments, memory maps, mounts and descriptors of all processes.
"""

import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.stack import ApiSession, Stack, stopping_stack

PROBE = Path(__file__).with_name("probe_secrets.py").read_bytes()
KEYS = ("OPENAI_API_KEY", "GLOVEBOX_TEST_KEY_OF_ANOTHER_PROVIDER")
TOKEN = f"token-{secrets.token_hex(16)}"


@dataclass
class Keeper:
    """A Glovebox that has something to hide, and one session of it that searches."""

    stack: Stack
    session: ApiSession
    canaries: dict[str, str]

    def found(self) -> dict[str, list[str]]:
        """Search from inside, and return where each secret was found, by what it is."""
        backwards = [canary[::-1] for canary in self.canaries.values()]
        self.session.put("search.py", PROBE)
        printed = self.session.printed(
            "import subprocess, sys\n"
            f"print(subprocess.check_output([sys.executable, 'search.py', *{backwards!r}], text=True))"
        )
        places: dict[str, list[str]] = json.loads(printed)
        return {name: places[canary[::-1]] for name, canary in self.canaries.items() if places[canary[::-1]]}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[Keeper]:
    folder = tmp_path_factory.mktemp("keeper")
    keys = {name: f"sk-{secrets.token_hex(16)}" for name in KEYS}
    providers: list[dict[str, object]] = [
        {"name": name.lower()[:30], "api_key_env": name, "models": [f"of {name}"], "own_keys": True} for name in KEYS
    ]
    in_file, own = (f"sk-{secrets.token_hex(16)}" for _ in range(2))
    (folder / "key").write_text(in_file)
    providers.append({"name": "filed", "api_key_file": str(folder / "key"), "models": ["filed"]})
    environ = {"GLOVEBOX_TOKEN": TOKEN, **keys}
    stack = Stack(folder, {"providers": providers}, environ=environ, runtime=runtime)
    with stopping_stack(stack), stack.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        canaries = keys | {"GLOVEBOX_TOKEN": TOKEN} | things_of_another_session(stack, client)
        assert client.put(f"/v1/me/keys/{providers[0]['name']}", json={"key": own}).status_code == 204
        canaries |= {"key in a file": in_file, "key of one's own": own}
        canaries |= {"data folder": str(folder / "data"), "spawner's socket": str(folder / "spawner.sock")}
        session = ApiSession(client)
        yield Keeper(stack, session, canaries)


def things_of_another_session(stack: Stack, client: httpx2.Client) -> dict[str, str]:
    """Return what another session has, in the database and in its own sandbox, which goes on running."""
    names = ("session's name", "message", "code", "variable", "file", "file in /tmp", "file in /dev/shm")
    canaries = {name: f"canary-{secrets.token_hex(16)}" for name in names}
    other = ApiSession(client, name=canaries["session's name"])
    list(other.say(f"demo:run '{canaries['message']}'", model="glovebox-demo"))
    paths = {"file": "kept.txt", "file in /tmp": "/tmp/kept", "file in /dev/shm": "/dev/shm/kept"}
    for name, path in paths.items():
        other.run(f"open({path!r}, 'w').write({canaries[name]!r})")
    other.run(f"kept = {canaries['variable']!r}  # {canaries['code']}")
    settings = json.loads((stack.folder / "data" / "sessions" / other.id / "run" / "gateway.json").read_text())
    return canaries | {"gateway's token": settings["token"], "kernel's id": settings["kernel_id"], "id": other.id}


def test_no_secret_of_the_orchestrator_or_of_another_session_is_found_from_inside(keeper: Keeper, runtime: str) -> None:
    found = keeper.found()
    if runtime == "runc":
        # The kernel tells every process where on the host a mount came from, and nothing can mask that.
        told = found.pop("data folder", [])
        assert [path for path in told if not re.fullmatch(r"/proc/(self|\d+)(/task/\d+)?/mountinfo", path)] == []
    assert found == {}


def test_the_search_finds_a_secret_that_is_there(keeper: Keeper) -> None:
    """The negative control: in a file, in a file's name, and in the environment and the arguments of a process."""
    one, token, other = (keeper.canaries[name] for name in (KEYS[0], "GLOVEBOX_TOKEN", "message"))
    keeper.session.put("leaked.txt", b"x" * 2**20 + one.encode())
    keeper.session.run(
        "import subprocess\nopen('/tmp/' + " + repr(token) + ", 'w').close()\n"
        f"leak = subprocess.Popen(['sleep', '600'], env={{'LEAK': {other!r}}})"
    )
    found = keeper.found()
    assert "/mnt/data/leaked.txt" in found[KEYS[0]]
    assert f"/tmp/{token}" in found["GLOVEBOX_TOKEN"]
    assert any(path.endswith("/environ") for path in found["message"])
    assert os.environ.get(KEYS[0]) != one


@pytest.mark.any_runtime
def test_the_secrets_are_where_they_belong(keeper: Keeper) -> None:
    """The canaries are real ones: the orchestrator has them, and its API answers to the token."""
    assert keeper.stack.orchestrator is not None
    environ = Path(f"/proc/{keeper.stack.orchestrator.pid}/environ").read_bytes()
    for name in (*KEYS, "GLOVEBOX_TOKEN"):
        assert keeper.canaries[name].encode() in environ
    with keeper.stack.client() as anonymous:
        assert anonymous.get("/v1/sessions").status_code == 401
    models = {model["id"] for model in keeper.session.client.get("/v1/models").json() if model["available"]}
    assert {f"of {name}" for name in KEYS} <= models
