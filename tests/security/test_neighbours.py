"""Two sessions at once: neither sees anything of the other, nor takes what the other needs (THREATS S9, S13)."""

import json
import uuid
from pathlib import Path

from tests.engine import docker
from tests.stack import ApiSession, MakeSession, Stack, wait_for

EXHAUST = Path(__file__).with_name("probe_exhaust.py").read_bytes()
MORE_THAN_THERE_IS = 8000
CANARY = "canary-5f1d0c"
# By names, beside the image's own files; then the processes that sleep, and the sockets.
SEARCH = f"""
import os, subprocess
places = '/ ' + ' '.join(f'/proc/[0-9]*/{{way}}' for way in ('cwd/', 'root/tmp', 'root/dev/shm', 'root/mnt'))
of_the_image = '-path /usr -prune -o -path /opt -prune -o'
print(subprocess.getoutput(f'find {{places}} {{of_the_image}} -name "*{CANARY[:6]}*" -print 2>/dev/null'))
numbers = [n for n in os.listdir('/proc') if n.isdigit()]
print([n for n in numbers if b'sleep' in open(f'/proc/{{n}}/cmdline', 'rb').read()])
print(open('/proc/net/unix').read())
"""


def test_neither_session_sees_anything_of_the_other(make_session: MakeSession, stack: Stack) -> None:
    one, other = make_session(), make_session()
    one.run(
        f"secret = '{CANARY}'\nopen('{CANARY}.txt', 'w').write(secret); open('/tmp/{CANARY}', 'w').write(secret)\n"
        f"open('/dev/shm/{CANARY}', 'w').write(secret)\n"
        f"import subprocess; p = subprocess.Popen(['sleep', '300', ])\n"
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + secret); s.listen()"
    )
    assert other.run("secret")["outputs"][0]["ename"] == "NameError"
    found = other.printed(SEARCH)
    assert CANARY[:6] in one.printed(SEARCH), "the search finds nothing at all"
    assert CANARY[:6] not in found
    assert "[]" in found
    assert other.files() == {}
    uids = {session.printed("import os; print(os.getuid())") for session in (one, other)}
    assert len(uids) == 2


def test_a_session_cannot_reach_another_ones_socket_through_a_link(make_session: MakeSession, stack: Stack) -> None:
    victim, attacker = make_session(), make_session()
    victim.run("ran = []")
    attacker.run("1")
    victims_socket = stack.folder / "data" / "sessions" / victim.id / "run" / "gw.sock"
    attacker.run(
        "import os\nos.unlink('/run/glovebox/gw.sock')\n"
        f"os.symlink({str(victims_socket)!r}, '/run/glovebox/gw.sock')\nos.kill(os.getppid(), 9)\n"
        "import time; time.sleep(60)"  # it ends with its container, and not before
    )
    cell = attacker.run("ran.append('the attacker was here')")
    assert cell["outputs"][0]["ename"] == "NameError", "the cell ran somewhere else"
    assert victim.printed("print(ran)") == "[]\n"


def exhausted(session: ApiSession, most: int, kinds: tuple[str, ...]) -> dict[str, int]:
    """Have a session take so many of each kind, keep them, and say how many it got."""
    session.put("exhaust.py", EXHAUST)
    code = (
        "import subprocess, sys\n"
        f"command = [sys.executable, 'exhaust.py', '{most}', *{kinds!r}]\n"
        "taker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)\n"
        "print(taker.stdout.readline())"
    )
    found: dict[str, int] = json.loads(session.printed(code))
    return found


def test_what_the_kernel_counts_by_user_is_not_taken_from_a_neighbour(make_session: MakeSession, runtime: str) -> None:
    """S9: every session has a uid of its own. With gVisor the counting kernel is the session's own, too."""
    kinds = ("inotify", "signals") if runtime == "runsc" else ("inotify", "signals", "pipes", "processes")
    greedy, other = make_session(), make_session()
    other.run("1")
    taken = exhausted(greedy, MORE_THAN_THERE_IS, kinds)
    assert all(count > 0 for count in taken.values()), taken
    if runtime == "runc":
        assert all(count < MORE_THAN_THERE_IS for count in taken.values()), taken
    assert exhausted(other, 1, kinds) == dict.fromkeys(kinds, 1)


def test_it_is_taken_from_a_neighbour_of_the_same_uid() -> None:
    """The negative control: two containers that run as one user."""
    names = [f"gbweak-{uuid.uuid4().hex}" for _ in range(2)]
    limits = ("--network", "none", "--user", "200998", "--pids-limit", "200", "--memory", "256m")

    def started(name: str, most: int) -> dict[str, int]:
        command = ("--entrypoint", "/opt/python/bin/python", "glovebox-sandbox", "-c", EXHAUST.decode())
        docker("run", "-d", "--name", name, *limits, *command, str(most), "inotify")
        wait_for(lambda: docker("logs", name), "what it got")
        found: dict[str, int] = json.loads(docker("logs", name))
        return found

    try:
        assert started(names[0], MORE_THAN_THERE_IS)["inotify"] > 0
        assert started(names[1], 1)["inotify"] == 0
    finally:
        docker("rm", "-f", *names)
