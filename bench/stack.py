"""A Glovebox of the bench's own, and everything gone afterwards.

The orchestrator runs in its image, with the limits that Compose gives it, on the host's network and with the code of
this tree: what is measured is what people run. The spawner, which is on nobody's way, is a process of this host.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.client import Api
from bench.docker_cli import containers_of, docker, remove_containers
from bench.errors import CannotMeasure
from bench.peers.ports import free_port
from bench.progress import say
from bench.provider import MODEL
from orchestrator.config import Profile, read_config

_REPOSITORY = Path(__file__).resolve().parent.parent
_DISK_MB = 8192
_READY_S = 60.0
_GRACE_S = 10.0
_IMAGE = "glovebox-orchestrator"
_COMMAND = ("python", "-m", "orchestrator")
_AS_COMPOSE = (
    "--network=host",
    "--user=0:0",
    "--cap-drop=ALL",
    *(f"--cap-add={name}" for name in ("CHOWN", "DAC_OVERRIDE", "FOWNER")),
    "--memory=1g",
    "--pids-limit=512",
)


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs: the client's side of it, and what the measurements look at from outside."""

    api: Api
    url: str
    instance: str
    folder: Path
    profile: Profile
    orchestrator_pid: int
    provider_port: int  # where a measurement may serve a model


@contextmanager
def running_stack(settings: Mapping[str, object] | None = None) -> Iterator[Stack]:
    """Start spawner and orchestrator, and remove processes, containers and files again, whatever happens.

    `settings` are added to the one profile, `standard`.

    Raises:
        CannotMeasure: it does not come up; the text has the end of its logs.

    """
    with ExitStack() as at_last, ExitStack() as cleanup:
        try:
            yield _start(cleanup, settings or {})
        finally:
            say("cleaning up")
            # A second Ctrl-C would leave things behind.
            before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
            at_last.callback(_restore, before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _start(cleanup: ExitStack, profile: Mapping[str, object]) -> Stack:
    """Start everything, each part with what ends it."""
    instance = f"gbbench-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix=f"{instance}-"))
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    cleanup.callback(_remove_containers_of, instance)
    port, provider_port = free_port(), free_port()
    config = folder / "config.json"
    config.write_text(json.dumps(_config(port, provider_port, profile)))
    environment = _environment(config, folder, instance)
    spawner = [sys.executable, "-m", "orchestrator.spawner"]
    cleanup.enter_context(_process("spawner", spawner, _without_ours() | environment, folder))
    name = f"{instance}-orchestrator"
    command = ["docker", "run", "--name", name, *_AS_COMPOSE, *_seen_inside(environment, folder), _IMAGE, *_COMMAND]
    cleanup.callback(docker, "rm", "--force", name)
    orchestrator = cleanup.enter_context(_process("orchestrator", command, dict(os.environ), folder))
    url = f"http://127.0.0.1:{port}"
    api = Api(url)
    cleanup.callback(api.close)
    _wait_until_ready(api, orchestrator, folder)
    pid = int(docker("inspect", "--format", "{{.State.Pid}}", name))
    return Stack(api, url, instance, folder, read_config(config).profiles["standard"], pid, provider_port)


def _config(port: int, provider_port: int, profile: Mapping[str, object]) -> dict[str, object]:
    """Return the config: no sandbox waits unless that is asked for, and several files of 1 GiB fit on a disk."""
    standard = {"disk_mb": _DISK_MB, "warm": 0, **profile}
    provider = {"name": "bench", "base_url": f"http://127.0.0.1:{provider_port}/v1", "models": [MODEL]}
    served: dict[str, object] = {"server": {"port": port}, "providers": [provider]}
    return served | {"profiles": {"standard": standard}, "default_profile": "standard"}


def _environment(config: Path, folder: Path, instance: str) -> dict[str, str]:
    """Return what tells both parts of each other."""
    return {
        "GLOVEBOX_CONFIG": str(config),
        "GLOVEBOX_DATA": str(folder / "data"),
        "GLOVEBOX_SPAWNER_SOCKET": str(folder / "spawner.sock"),
        "GLOVEBOX_INSTANCE": instance,
    }


def _without_ours() -> dict[str, str]:
    """Return this shell's environment without what sets up another Glovebox."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GLOVEBOX_")}


def _seen_inside(environment: Mapping[str, str], folder: Path) -> list[str]:
    told = [f"--env={name}={value}" for name, value in environment.items()]
    return [*told, f"--volume={folder}:{folder}", f"--volume={_REPOSITORY}/orchestrator:/opt/glovebox/orchestrator:ro"]


@contextmanager
def _process(
    name: str, command: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a part, and end it afterwards. A Ctrl-C is for the bench alone, which ends its parts in order."""
    with _log_file(folder, name).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=_REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(api: Api, orchestrator: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while (problem := api.ready()) is not None:
        if orchestrator.poll() is not None or time.monotonic() > deadline:
            logs = "".join(
                f"\n--- {module} ---\n{_log_file(folder, module).read_text(errors='replace')[-3000:]}"
                for module in ("spawner", "orchestrator")
            )
            raise CannotMeasure(f"Glovebox did not become ready: {problem}{logs}")
        time.sleep(0.1)


def _remove_containers_of(instance: str) -> None:
    # A container that is going away by itself makes the first attempt fail.
    for _ in range(3):
        with suppress(CannotMeasure, subprocess.TimeoutExpired):
            remove_containers(containers_of(instance))
            return
        time.sleep(1)
    say(f"containers may be left: docker ps -a --filter label=glovebox.instance={instance}")


def _log_file(folder: Path, module: str) -> Path:
    return folder / f"{module}.log"
