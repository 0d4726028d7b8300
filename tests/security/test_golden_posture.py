"""The whole posture of a sandbox beside the golden one (THREATS S1, S2, S9, S14, S18): whatever is new fails.

The same probe in a container that was weakened in one way must be seen to fail, way by way.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from orchestrator.config import Profile
from orchestrator.spawner.container import DataInFolder, container_settings
from orchestrator.spawner.requests import Create
from tests.security.golden import ACCEPTING, Posture, absences, accept, differences, read
from tests.stack import RUNTIMES, ApiSession, profiles

PROBE = Path(__file__).with_name("probe_posture.py").read_bytes()
UID = 200_999
Change = Callable[[dict[str, Any], dict[str, Any]], object]
Collect = Callable[..., Posture]


def test_a_sandbox_has_nothing_that_was_not_accepted(session: ApiSession, runtime: str) -> None:
    session.put("probe.py", PROBE)
    cell = session.run(
        "import subprocess, sys; subprocess.run([sys.executable, 'probe.py', 'posture.json'], check=True)"
    )
    assert cell["status"] == "ok", cell["outputs"]
    found: Posture = session.client.get(f"{session.path}/files/posture.json").json()
    if ACCEPTING:
        accept(runtime, found)
    assert differences(runtime, found) == {}
    assert absences(runtime, found) == {}


@pytest.mark.parametrize("with_runtime", RUNTIMES)
def test_the_golden_list_itself_grants_nothing_that_matters(with_runtime: str) -> None:
    """What is accepted by mistake is noticed here."""
    golden = read(with_runtime)
    assert [entry for entry in golden["identity"] if entry.startswith("Cap") and int(entry.split()[1], 16)] == []
    assert [entry for entry in golden["tree"] if entry.endswith("changes who runs it")] == []
    assert golden["interfaces"] == ["lo"]
    assert "core 0 0" in golden["limits"]
    assert not any("docker.sock" in entry for entries in golden.values() for entry in entries)
    for place in ("/tmp", "/home/sandbox", "/dev/shm"):
        assert f"{place} may execute" not in golden["mounts"]
    assert "/ may write" not in golden["mounts"]
    if with_runtime == "runc":
        assert {"NoNewPrivs 1", "Seccomp 2"} <= set(golden["identity"])
        allowed = {entry for entry in golden["calls"] if not entry.endswith(" refused")}
        assert {entry.split(" SOCK_")[0] for entry in allowed} == {
            "clone3 errno 38",
            *(f"socket {family}" for family in (1, 2, 10, 16)),
        }


def mount(source: str, target: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}


def without(name: str) -> Change:
    return lambda _, host: host.pop(name)


def with_value(name: str, value: Any) -> Change:
    return lambda _, host: host.update({name: value})


def with_more(name: str, value: Any) -> Change:
    return lambda _, host: host.setdefault(name, []).append(value)


# Each way to weaken a sandbox, and the subject that must show it; with gVisor those that reach its own kernel.
WEAKENINGS: dict[str, tuple[str, Change]] = {
    "a folder of the host": ("mounts", with_more("Mounts", mount("/etc", "/mnt/host"))),
    "the socket of the engine": ("mounts", with_more("Mounts", mount("/var/run/docker.sock", "/tmp/docker.sock"))),
    "a writable root": ("mounts", with_value("ReadonlyRootfs", False)),
    "programs in /tmp": ("mounts", with_value("Tmpfs", {"/tmp": "rw,exec,size=256m,nr_inodes=16384"})),
    "one capability": ("identity", with_value("CapAdd", ["SYS_ADMIN"])),
    "all capabilities": ("identity", with_value("Privileged", True)),
    "root": ("identity", lambda settings, _: settings.update({"User": "0:0"})),
    "a group more": ("identity", with_value("GroupAdd", ["4"])),
    "a secret": ("environment", lambda settings, _: settings["Env"].append("OPENAI_API_KEY=sk-1")),
    "the engine's own limits": ("limits", without("Ulimits")),
}
KERNEL_LOG = {"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "rwm"}
WEAKENINGS_OF_RUNC: dict[str, tuple[str, Change]] = {
    "a tmpfs without end": ("mounts", with_value("Tmpfs", {"/tmp": "rw,noexec,nosuid,nodev"})),
    "a device": ("devices", with_value("Devices", [KERNEL_LOG])),
    "a way to gain privileges": ("identity", lambda _, host: host["SecurityOpt"].remove("no-new-privileges:true")),
    "no filter": ("calls", with_value("SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"])),
    "the engine's filter": ("calls", with_value("SecurityOpt", ["no-new-privileges:true"])),
    "the host's network": ("interfaces", with_value("NetworkMode", "host")),
    "a network": ("interfaces", with_value("NetworkMode", "bridge")),
    "the host's processes": ("processes", with_value("PidMode", "host")),
    "the host's shared memory": ("mounts", with_value("IpcMode", "host")),
    "the host's name": ("names", lambda settings, host: (settings.pop("Hostname"), host.update(UTSMode="host"))),
    "the host's cgroups": ("cgroup", with_value("CgroupnsMode", "host")),
    "nothing masked": ("readable in /proc", with_value("MaskedPaths", [])),
    "the kernel's settings": ("writable in /proc and /sys", with_value("ReadonlyPaths", [])),
    "a place to write": ("tree", lambda _, host: host["Tmpfs"].update({"/extra": "rw,size=1m,mode=1777"})),
}
CASES = [(runtime, name) for runtime in RUNTIMES for name in WEAKENINGS] + [
    ("runc", name) for name in WEAKENINGS_OF_RUNC if "runc" in RUNTIMES
]


@pytest.fixture
def posture_of(tmp_path: Path) -> Iterator[Collect]:
    """Return what starts a container as the spawner would, but for one change, and collects its posture."""
    engine = docker.APIClient(timeout=120)
    names = []

    def collect(runtime: str, change: Change, *subjects: str) -> Posture:
        session_id = uuid.uuid4().hex
        folder = tmp_path / "sessions" / session_id
        for part in ("workspace", "run"):
            (folder / part).mkdir(parents=True)
            os.chown(folder / part, UID, UID)
            (folder / part).chmod(0o777)  # root without capabilities is nobody
        (folder / "workspace" / "probe.py").write_bytes(PROBE)
        profile = Profile(**profiles(runtime)["standard"])
        request = Create(session_id=session_id, profile="standard", uid=UID)
        settings = container_settings(request, profile, DataInFolder(str(tmp_path)), {"glovebox.weakened": "1"})
        settings["Entrypoint"] = ["/opt/python/bin/python", "probe.py", "posture.json", *subjects]
        change(settings, settings["HostConfig"])
        names.append(f"gbweak-{session_id}")
        engine.create_container_from_config(settings, names[-1])
        engine.start(names[-1])
        assert engine.wait(names[-1], timeout=120)["StatusCode"] == 0
        found: Posture = json.loads((folder / "workspace" / "posture.json").read_text())
        return found

    yield collect
    for name in names:
        engine.remove_container(name, force=True, v=True)
    engine.close()


@pytest.mark.parametrize("with_runtime", RUNTIMES)
def test_the_probe_finds_nothing_in_a_container_that_was_not_weakened(posture_of: Collect, with_runtime: str) -> None:
    assert differences(with_runtime, posture_of(with_runtime, lambda *_: None)) == {}


@pytest.mark.parametrize(("with_runtime", "weakening"), CASES)
def test_the_probe_sees_a_container_that_was_weakened(posture_of: Collect, with_runtime: str, weakening: str) -> None:
    subject, change = (WEAKENINGS | WEAKENINGS_OF_RUNC)[weakening]
    assert subject in differences(with_runtime, posture_of(with_runtime, change, subject))
