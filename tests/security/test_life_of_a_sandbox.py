"""What outlives a sandbox, keeps it alive or breaks it: daemons, false claims, dead gateways, planted files."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.engine import docker
from tests.stack import ApiSession, MakeSession, Stack, wait_for

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        open('daemon', 'w').close()
        while True:
            time.sleep(1)
    os._exit(0)
"""


def test_a_daemon_of_a_session_is_gone_with_the_session(client: httpx2.Client, stack: Stack) -> None:
    """S10: it has left its parent and its terminal, and takes no signal that can be refused."""
    session = ApiSession(client)
    session.put("daemon.py", DAEMON.encode())
    session.run("import subprocess, sys; subprocess.Popen([sys.executable, 'daemon.py'])")
    wait_for(lambda: "daemon" in session.files(), "the daemon")
    (found,) = json.loads(docker("inspect", stack.container_of(session.id)))
    assert left_of(found, stack, session.id) != []
    session.delete()
    wait_for(lambda: left_of(found, stack, session.id) == [], "all that was the session's to go")
    assert stack.containers(f"label=glovebox.session={session.id}") == []
    assert not (stack.folder / "data" / "sessions" / session.id).exists()


def left_of(container: dict[str, Any], stack: Stack, session_id: str) -> list[str]:
    """Return what the host still has of a sandbox: processes, cgroups and mounts."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            about = (process / "cgroup").read_bytes() + (process / "cmdline").read_bytes()
            if container["Id"].encode() in about:
                left.append(str(process))
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        left += [f"{folder}/{name}" for name in names if container["Id"] in name]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    left += [line for line in mounts if container["Id"] in line or session_id in line]
    return left


def test_a_gateway_that_claims_to_be_busy_for_ever_is_put_to_sleep(make_session: MakeSession, stack: Stack) -> None:
    """S11: idle time is counted by what people ask for, not by what a sandbox says."""
    session = make_session(profile="sleepy")
    session.run(
        "import threading, time\nkernel = get_ipython().kernel\n"
        "def claim():\n    while True:\n"
        "        kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'busy'}, ident=b'status')\n"
        "        kernel.session.send(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'still at it'})\n"
        "        time.sleep(0.02)\n"
        "threading.Thread(target=claim, daemon=True).start()"
    )
    wait_for(lambda: not stack.containers(f"label=glovebox.session={session.id}"), "the sandbox to sleep")


KEEPER = "os.getppid()"
BRIDGE = (
    "next(int(pid) for pid in os.listdir('/proc') if pid.isdigit() and int(pid) != os.getpid() and "
    "open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1] == str(os.getppid()))"
)


@pytest.mark.parametrize("who", [KEEPER, BRIDGE])
@pytest.mark.parametrize("signal", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.any_runtime)])
def test_a_gateway_that_dies_or_leaves_is_told_and_replaced(session: ApiSession, signal: str, who: str) -> None:
    """S16: killed, or ended by itself as if all were well."""
    lose_the_gateway(session, who, signal, "sandbox_lost")


@pytest.mark.any_runtime
def test_a_gateway_that_is_stopped_is_told_and_replaced(session: ApiSession) -> None:
    """S16: it is given all the time that a slow one may take, so this is run once."""
    lose_the_gateway(session, BRIDGE, "SIGSTOP", "timeout")


def lose_the_gateway(session: ApiSession, who: str, signal: str, status: str) -> None:
    session.run("open('kept.txt', 'w').write('kept')")
    cell = session.run(f"import os, signal, time\nos.kill({who}, signal.{signal})\ntime.sleep(60)", timeout_s=2)
    assert cell["status"] == status, cell
    assert "files are kept" in json.dumps(cell["outputs"])
    assert session.printed("print(open('kept.txt').read())") == "kept\n"


def test_a_sandbox_that_kills_all_its_processes_is_told_and_replaced(session: ApiSession) -> None:
    """S16."""
    session.run("open('kept.txt', 'w').write('kept')")
    assert session.run("import os; os.kill(-1, 9); os.kill(1, 9)")["status"] == "sandbox_lost"
    assert session.printed("print(open('kept.txt').read())") == "kept\n"


PLANTED = (
    "~/.ipython/profile_default/startup/00-planted.py",
    "~/.local/lib/python3.13/site-packages/sitecustomize.py",
    "~/.local/lib/python3.13/site-packages/usercustomize.py",
    "~/.local/share/jupyter/kernels/python3/kernel.json",
    "~/.jupyter/jupyter_config.py",
    "~/.config/matplotlib/matplotlibrc",
    "~/.cache/matplotlib/fontlist-v999.json",
    "~/.bashrc",
    "/tmp/planted",
    "/dev/shm/planted",
)


def test_what_was_planted_outside_the_workspace_is_gone_with_the_container(session: ApiSession, stack: Stack) -> None:
    """S17: start-up files, caches, kernel specifications. The workspace is what stays, as is said."""
    planted = session.printed(
        "import os\n"
        f"for path in {PLANTED!r}:\n"
        "    path = os.path.expanduser(path); os.makedirs(os.path.dirname(path), exist_ok=True)\n"
        "    open(path, 'w').write('import builtins; builtins.planted = 1')\n"
        "    print(os.path.exists(path))\nopen('kept.txt', 'w').write('kept')"
    )
    assert planted.split() == ["True"] * len(PLANTED)
    docker("rm", "-f", stack.container_of(session.id))
    left = session.printed(f"import os; print([p for p in {PLANTED!r} if os.path.exists(os.path.expanduser(p))])")
    assert left == "[]\n"
    assert session.run("planted")["outputs"][0]["ename"] == "NameError"
    assert session.files() == {"kept.txt": 4}


def test_nothing_is_run_from_where_nobody_installs_anything(session: ApiSession) -> None:
    """S18: a hurdle, no wall; compiled packages that a user installs live in the workspace."""
    code = (
        "import os, shutil, subprocess\n"
        "for folder in ('/tmp', os.path.expanduser('~'), '/dev/shm', '/mnt/data'):\n"
        "    shutil.copy('/usr/bin/true', folder + '/program')\n"
        "    try: print(folder, subprocess.run([folder + '/program']).returncode)\n"
        "    except PermissionError: print(folder, 'refused')"
    )
    assert session.printed(code).splitlines() == [
        "/tmp refused",
        "/home/sandbox refused",
        "/dev/shm refused",
        "/mnt/data 0",
    ]
