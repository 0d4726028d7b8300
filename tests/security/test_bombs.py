"""Code that eats all processes, memory or processors (THREATS S5, S6, S8): its own session pays, and comes back.

With gVisor a sandbox that is short of memory dies whole, and its guests' processes are threads of one process on the
host, bounded by memory before they are by number; so the ends differ, and what must hold does not.
"""

import json

import pytest

from tests.security.watch import assert_held, watching
from tests.stack import ApiSession, MakeSession, Stack

# A fork bomb may have as many processes as its profile says; the machine around the tests has its own.
MOST_PROCESSES = 256 + 1000
ENDS = ("ok", "error", "timeout", "out_of_memory", "sandbox_lost")

FORK = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
DAEMONS = (
    "import os\nfor _ in range(2):\n    if os.fork() == 0:\n        os.setsid()\n        while True:\n"
    "            try: os.fork()\n            except OSError: pass"
)
THREADS = (
    "import threading, time\nwhile True:\n"
    "    try: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n    except RuntimeError: pass"
)
SPIN = (
    "import os, signal, threading\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "def spin():\n    while True: pass\n"
    "for _ in range(3):\n    if os.fork() == 0: spin()\n"
    "for _ in range(20): threading.Thread(target=spin, daemon=True).start()\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001); signal.signal(signal.SIGALRM, lambda *_: None)\nspin()"
)


def recovers(session: ApiSession, tries: int = 4) -> None:
    """See that the session works again by itself; whatever the bomb left behind may cost it a cell or two."""
    for _ in range(tries):
        cell = session.run("print(open('kept.txt').read())", timeout_s=20)
        if cell["status"] == "ok":
            assert cell["outputs"][0]["text"] == "kept\n"
            return
    pytest.fail(f"the session did not come back: {cell}")


@pytest.mark.parametrize(
    ("bomb", "profile"),
    [pytest.param(FORK, "standard", marks=pytest.mark.any_runtime), (DAEMONS, "tight"), (THREADS, "standard")],
    ids=["fork", "daemons", "threads"],
)
def test_a_bomb_of_processes_or_threads_stays_in_its_session(
    make_session: MakeSession, stack: Stack, peer: ApiSession, bomb: str, profile: str
) -> None:
    session = make_session(profile=profile)
    session.put("kept.txt", b"kept")
    session.run("1")
    with watching(stack, peer) as watch:
        assert session.run(bomb, timeout_s=3)["status"] in ENDS
        recovers(session)
    assert watch.most_processes < MOST_PROCESSES, watch.told()
    assert_held(watch)
    assert session.client.post(f"{session.path}/restart").status_code == 204
    recovers(session)
    session.delete()
    assert stack.containers(f"label=glovebox.session={session.id}") == []


MEMORY_BOMBS = {
    "heap": "x = []\nwhile True: x.append(bytearray(8 << 20))",
    "tmp": "for i in range(1000): open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))",
    "home": "import os\nfor i in range(1000): open(os.path.expanduser(f'~/{i}'), 'wb').write(bytes(1 << 20))",
    "shm": "for i in range(1000): open(f'/dev/shm/{i}', 'wb').write(bytes(1 << 20))",
    "shared memory": "import mmap\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1",
    "pipes": (
        "import fcntl, os\npipes = []\nwhile True:\n    pipes.append(os.pipe()); write = pipes[-1][1]\n"
        "    os.set_blocking(write, False)\n    try: fcntl.fcntl(write, 1031, 1 << 20)\n    except OSError: pass\n"
        "    try:\n        while os.write(write, bytes(65536)): pass\n    except BlockingIOError: pass"
    ),
    "sockets": (
        "import socket\npairs = []\nwhile True:\n    pairs.append(socket.socketpair()); one = pairs[-1][0]\n"
        "    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22); one.setblocking(False)\n"
        "    try:\n        while one.send(bytes(65536)): pass\n    except BlockingIOError: pass"
    ),
    "inodes": "for i in range(1 << 20): open(f'/tmp/{i}', 'w').close()",
    # What the kernel can write back to a file is not the session's to keep: neither of these ends.
    "page cache": (
        "with open('big', 'wb') as file:\n    for _ in range(500): file.write(bytes(1 << 20))\n"
        "with open('big', 'rb') as file:\n    while file.read(1 << 20): pass\nimport os; os.unlink('big')"
    ),
    "mapped file": (
        "import mmap, os\nwith open('big', 'w+b') as file:\n    file.truncate(500 << 20)\n"
        "    m = mmap.mmap(file.fileno(), 500 << 20)\n    for i in range(0, 500 << 20, 4096): m[i] = 1\n"
        "m.close(); os.unlink('big')"
    ),
}
END_IN_OUT_OF_MEMORY = {"heap", "tmp", "home", "sockets"}
# With gVisor these are memory of its own process, and there is no limit on pipes of one user.
END_SO_WITH_GVISOR = END_IN_OUT_OF_MEMORY | {"pipes"}
END_BY_THEMSELVES = {"page cache", "mapped file"}


def test_a_bomb_of_any_kind_of_memory_ends_its_own_kernel_and_says_so(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session(profile="cramped")
    session.put("kept.txt", b"kept")
    session.run("1")
    ends = {}
    with watching(stack, peer) as watch:
        for kind, bomb in MEMORY_BOMBS.items():
            cell = session.run(bomb, timeout_s=5)
            ends[kind] = cell["status"]
            assert cell["status"] in ENDS, (kind, cell)
            if cell["status"] == "out_of_memory":
                told = json.dumps(cell["outputs"])
                assert "ran out of memory. Variables are lost, files are kept." in told, (kind, cell)
            if cell["status"] != "ok":  # a kernel that has no descriptor or no room left is restarted by its user
                assert session.client.post(f"{session.path}/restart").status_code == 204
            recovers(session)
    expected = END_SO_WITH_GVISOR if stack.runtime == "runsc" else END_IN_OUT_OF_MEMORY
    assert {kind for kind in expected if ends[kind] == "out_of_memory"} == expected, ends
    assert {kind for kind in END_BY_THEMSELVES if ends[kind] == "ok"} == END_BY_THEMSELVES, ends
    assert_held(watch)
    session.delete()
    assert stack.containers(f"label=glovebox.session={session.id}") == []


def test_files_in_memory_that_outlive_the_kernel_do_not_kill_the_next_one_for_ever(make_session: MakeSession) -> None:
    session = make_session(profile="cramped")
    session.put("kept.txt", b"kept")
    assert session.run("for i in range(120): open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))")["status"] == "ok"
    needs = "x = bytearray(190 << 20); del x; print('fits')"
    ends = [session.run(needs)["status"] for _ in range(3)]
    assert ends[0] == "out_of_memory", ends  # what lies in /tmp and this do not go together
    assert ends[2] == "ok", ends  # at the second time /tmp went, too
    recovers(session, 1)


def test_a_cell_that_spins_on_all_threads_and_ignores_its_interrupt_is_killed_at_its_limit(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session()
    session.put("kept.txt", b"kept")
    session.run("1")
    with watching(stack, peer) as watch:
        cell = session.run(SPIN, timeout_s=3)
        assert cell["status"] == "timeout"
        assert "after its limit of 3 s. Variables are lost, files are kept." in json.dumps(cell["outputs"])
        recovers(session)
    assert_held(watch)
