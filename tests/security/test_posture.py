"""What a sandbox's container is, as the engine and the host's kernel tell it (THREATS S1, S2).

`test_golden_posture.py` looks from inside. With gVisor the code's kernel is gVisor's: the code's own view of itself
says less, and the filter of system calls is around gVisor.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.spawner.seccomp import seccomp_profile
from tests.engine import docker
from tests.stack import ApiSession, Stack


def inspected(stack: Stack, session: ApiSession) -> dict[str, Any]:
    session.run("1")
    (found,) = json.loads(docker("inspect", stack.container_of(session.id)))
    return dict(found)


def test_the_containers_settings_are_those_of_its_profile(stack: Stack, session: ApiSession) -> None:
    found = inspected(stack, session)
    host, profile = found["HostConfig"], stack.profiles["standard"]
    assert host["NetworkMode"] == "none"
    assert list(found["NetworkSettings"]["Networks"]) == ["none"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={seccomp_profile()}"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] == host["MemorySwap"] == profile["memory_mb"] * 2**20
    assert host["NanoCpus"] == profile["cpus"] * 10**9
    assert host["PidsLimit"] == profile["pids"]
    assert (host["IpcMode"], host["CgroupnsMode"], host["PidMode"], host["UTSMode"]) == ("private", "private", "", "")
    assert host["LogConfig"]["Type"] == "none"
    assert host["RestartPolicy"]["Name"] == "no"
    assert not host["Devices"]
    assert not host["Binds"]
    assert host["Runtime"] == stack.runtime
    uid = int(found["Config"]["User"].split(":")[0])
    assert uid >= 200_000
    assert found["Config"]["User"] == f"{uid}:{uid}"


def test_nothing_is_mounted_but_the_sessions_own_workspace_and_socket(stack: Stack, session: ApiSession) -> None:
    found = inspected(stack, session)
    folder = stack.folder / "data" / "sessions" / session.id
    mounts = {mount["Destination"]: mount["Source"] for mount in found["Mounts"]}
    assert mounts == {"/mnt/data": str(folder / "workspace"), "/run/glovebox": str(folder / "run")}
    inside = session.printed("print(open('/proc/self/mountinfo').read())")
    points = {line.split()[4] for line in inside.splitlines() if line.strip()}
    unknown = {
        point
        for point in points
        if point not in ("/", "/mnt/data", "/run/glovebox", "/tmp", "/home/sandbox", "/usr/sbin/docker-init")
        and not point.startswith(("/proc", "/sys", "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"))
    }
    assert unknown == set()


def test_the_process_has_no_capability_no_way_to_gain_one_and_a_filter(session: ApiSession, runtime: str) -> None:
    status = fields(session.printed("print(open('/proc/self/status').read())"))
    shown = {name: value for name, value in status.items() if name.startswith("Cap")}
    assert {"CapInh", "CapPrm", "CapEff", "CapBnd"} <= set(shown)
    assert {int(value, 16) for value in shown.values()} == {0}
    assert status["Groups"].split() in ([], status["Gid"].split()[:1])
    if runtime == "runc":
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_on_the_host_it_is_a_process_in_namespaces_of_its_own_behind_a_filter(
    stack: Stack, session: ApiSession, runtime: str
) -> None:
    """With gVisor this process is gVisor's own, which stands between the code and the host."""
    process = Path("/proc") / str(inspected(stack, session)["State"]["Pid"])
    status = fields((process / "status").read_text())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    own = {"ipc", "mnt", "net", "uts"} | ({"user"} if runtime == "runsc" else {"pid", "cgroup"})
    shared = {name for name in own if (process / "ns" / name).readlink() == Path(f"/proc/self/ns/{name}").readlink()}
    assert shared == set()
    version = session.printed("print(open('/proc/version').read())")
    assert (Path("/proc/version").read_text().strip() in version) is (runtime == "runc")


def fields(status: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


def test_there_is_no_interface_but_loopback_and_no_way_out(session: ApiSession) -> None:
    assert session.printed("import socket; print([name for _, name in socket.if_nameindex()])") == "['lo']\n"
    code = (
        "import socket\n"
        "for address in (('169.254.169.254', 80), ('172.17.0.1', 80), ('8.8.8.8', 53)):\n"
        "    try:\n        socket.create_connection(address, 2); print('reached', address)\n"
        "    except OSError as error: print(error.errno)\n"
        "try: print('resolved', socket.getaddrinfo('example.com', 80))\n"
        "except OSError: print('no name')"
    )
    printed = session.printed(code)
    assert "reached" not in printed
    assert printed.splitlines()[-1] == "no name"


def test_the_root_is_read_only_and_no_file_in_it_changes_who_runs_it(session: ApiSession) -> None:
    cell = session.run("open('/opt/x', 'w')")
    assert cell["outputs"][-1]["ename"] in ("OSError", "PermissionError")
    found = session.printed(
        "import subprocess; print(subprocess.getoutput('find / -xdev -perm /6000 -type f 2>/dev/null'))"
    )
    assert found.strip() == ""


@pytest.mark.any_runtime
def test_the_image_of_orchestrator_and_ui_is_not_root(stack: Stack) -> None:
    for image in ("glovebox-orchestrator", "glovebox-ui"):
        assert docker("image", "inspect", image, "--format", "{{.Config.User}}").split(":")[0] not in ("", "0", "root")
