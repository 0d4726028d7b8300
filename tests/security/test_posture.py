"""What a sandbox's container is, as the engine and the kernel tell it."""

import json
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


def test_the_process_has_no_capability_no_way_to_gain_one_and_a_filter(session: ApiSession) -> None:
    status = dict(
        line.split(":\t", 1) for line in session.printed("print(open('/proc/self/status').read())").splitlines() if line
    )
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Groups"].split() in ([], status["Gid"].split()[:1])


def test_there_is_no_interface_but_loopback_and_no_way_out(session: ApiSession) -> None:
    assert session.printed("import os; print(sorted(os.listdir('/sys/class/net')))") == "['lo']\n"
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
    assert cell["outputs"][-1]["ename"] == "OSError"
    found = session.printed(
        "import subprocess; print(subprocess.getoutput('find / -xdev -perm /6000 -type f 2>/dev/null'))"
    )
    assert found.strip() == ""


def test_no_secret_of_the_orchestrator_is_inside(stack: Stack, session: ApiSession) -> None:
    environment = session.printed("import os; print(sorted(os.environ))")
    assert "GLOVEBOX" not in environment
    assert "OPENAI" not in environment
    searched = session.printed(
        "import glob\nfor path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n"
        "    try: print(open(path).read())\n    except OSError: pass"
    )
    assert str(stack.folder) not in searched
    assert "API_KEY" not in searched


def test_the_image_of_orchestrator_and_ui_is_not_root(stack: Stack) -> None:
    for image in ("glovebox-orchestrator", "glovebox-ui"):
        assert docker("image", "inspect", image, "--format", "{{.Config.User}}").split(":")[0] not in ("", "0", "root")


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("ptrace", 101),
        ("mount", 165),
        ("add_key", 248),
        ("request_key", 249),
        ("keyctl", 250),
        ("mq_open", 240),
        ("unshare", 272),
        ("perf_event_open", 298),
        ("name_to_handle_at", 303),
        ("open_by_handle_at", 304),
        ("setns", 308),
        ("process_vm_readv", 310),
        ("kcmp", 312),
        ("bpf", 321),
        ("userfaultfd", 323),
        ("io_uring_setup", 425),
        ("open_tree", 428),
        ("pidfd_getfd", 438),
        ("memfd_secret", 447),
    ],
)
def test_a_system_call_that_python_does_not_need_is_refused(session: ApiSession, call: str, number: int) -> None:
    """EPERM, not ENOSYS or EINVAL, which a kernel without the call would say of itself."""
    libc = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)"
    code = f"{libc}; print(libc.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    assert session.printed(code) == "-1 1\n", call


def test_namespaces_odd_socket_families_and_clone3_are_refused(session: ApiSession) -> None:
    code = (
        "import ctypes, socket\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print('clone', libc.syscall(56, 0x10000000, 0, 0, 0, 0), ctypes.get_errno())\n"
        "print('clone3', libc.syscall(435, 0, 0), ctypes.get_errno())\n"
        "print('lock_pi', libc.syscall(202, ctypes.byref(ctypes.c_int()), 6, 0, 0, 0, 0), ctypes.get_errno())\n"
        "for family in (3, 15, 17, 29, 31, 38, 40, 44):\n"
        "    try: socket.socket(family, socket.SOCK_DGRAM); print(family, 'made')\n"
        "    except OSError as error: print(family, error.errno)"
    )
    assert session.printed(code).splitlines() == [
        "clone -1 1",
        "clone3 -1 38",
        "lock_pi -1 1",
        *(f"{family} 1" for family in (3, 15, 17, 29, 31, 38, 40, 44)),
    ]


def test_the_same_probes_succeed_in_a_container_without_the_filter() -> None:
    """The negative control: it is the filter that refuses, not this kernel."""
    code = (
        "import ctypes, socket; l = ctypes.CDLL(None, use_errno=True); "
        "print(l.syscall(101, 0, 0, 0, 0), l.syscall(425, 0, 0) == -1 and ctypes.get_errno() != 1); "
        "print(socket.socket(17, socket.SOCK_DGRAM).family)"
    )
    weak = ["run", "--rm", "--network", "none", "--security-opt", "seccomp=unconfined", "--user", "0"]
    printed = docker(*weak, "--entrypoint", "/opt/python/bin/python", "glovebox-sandbox", "-c", code)
    assert printed.splitlines() == ["0 True", "AddressFamily.AF_PACKET"] or printed.splitlines()[1].endswith("17")
