"""`./glovebox backup` and `restore`: what was there while it ran is there again, in an installation that was empty."""

import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.engine import ROOT, docker
from tests.stack import ApiSession, free_port, wait_for


class Installation:
    """What Compose makes of one name: an orchestrator, a spawner, and a volume each time another one is named."""

    def __init__(self) -> None:
        self.instance = f"gbbackup-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.volumes: list[str] = []
        self.environ = dict(os.environ) | {
            "GLOVEBOX_INSTANCE": self.instance,
            "GLOVEBOX_PORT": str(self.port),
            "GLOVEBOX_CONFIG": str(ROOT / "config.example.json"),
            "GLOVEBOX_BIND": "127.0.0.1",
            "GLOVEBOX_TOKEN": "",
            "OPENAI_API_KEY": "",
        }
        self.use_new_volume()

    def use_new_volume(self) -> None:
        self.volumes.append(f"{self.instance}-{len(self.volumes)}")
        self.environ["GLOVEBOX_DATA_VOLUME"] = self.volumes[-1]

    def start(self) -> httpx2.Client:
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "orchestrator")
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120, trust_env=False)

    def compose(self, *arguments: str) -> None:
        assert (done := self._run("docker", "compose", *arguments)).returncode == 0, done.stderr

    def glovebox(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("./glovebox", *arguments)

    def remove(self) -> None:
        self._run("docker", "compose", "kill")
        for container in docker("ps", "-aq", "--filter", f"label=glovebox.instance={self.instance}").split():
            docker("rm", "-f", container)
        self._run("docker", "compose", "down", "--volumes")
        for volume in self.volumes[:-1]:
            self._run("docker", "volume", "rm", volume)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False)


@pytest.fixture
def installation() -> Iterator[Installation]:
    made = Installation()
    yield made
    made.remove()


def test_what_was_backed_up_while_all_ran_is_there_again(installation: Installation, tmp_path: Path) -> None:
    backup = tmp_path / "backup.tar"
    with installation.start() as client:
        session = ApiSession(client, name="Sales 数")
        session.put("kept.bin", b"k" * 3_000_000)
        assert list(session.say("demo:run open('made.txt', 'w').write('made'); print('said')"))[-1]["status"] == "done"
        stop = threading.Event()
        busy = threading.Thread(target=keep_writing, args=(session, stop))
        busy.start()
        wait_for(lambda: "busy-3.bin" in session.files(), "somebody who works meanwhile")
        made = installation.glovebox("backup", str(backup))
        stop.set()
        busy.join()
        assert made.returncode == 0, made.stdout + made.stderr
        assert installation.glovebox("backup", str(backup)).returncode != 0, "a backup is never written over"
        assert "./glovebox down" in installation.glovebox("restore", str(backup)).stderr
        before = client.get(f"{session.path}/messages").json()
    installation.compose("down", "--timeout", "5")
    refused = installation.glovebox("restore", str(backup))
    assert refused.returncode != 0 and "there is data already" in refused.stderr
    installation.use_new_volume()
    restored = installation.glovebox("restore", str(backup))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    with installation.start() as client:
        assert [one["name"] for one in client.get("/v1/sessions").json()] == ["Sales 数"]
        assert client.get(f"{session.path}/messages").json() == before
        assert client.get(f"{session.path}/files/kept.bin").content == b"k" * 3_000_000
        again = client.post(f"{session.path}/executions", json={"code": "print(open('made.txt').read())"}).json()
        assert again["outputs"][0]["text"] == "made\n"
        client.delete(session.path)


def keep_writing(session: ApiSession, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        session.put(f"busy-{number}.bin", os.urandom(50_000))
