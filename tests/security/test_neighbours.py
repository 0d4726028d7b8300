"""Two sessions at once: neither sees the other's files, variables or processes."""

from tests.stack import MakeSession, Stack

CANARY = "canary-5f1d0c"


def test_neither_session_sees_anything_of_the_other(make_session: MakeSession, stack: Stack) -> None:
    one, other = make_session(), make_session()
    one.run(
        f"secret = '{CANARY}'\nopen('{CANARY}.txt', 'w').write(secret); open('/tmp/{CANARY}', 'w').write(secret)\n"
        f"open('/dev/shm/{CANARY}', 'w').write(secret)\n"
        f"import subprocess; p = subprocess.Popen(['sleep', '300', ])\n"
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + secret); s.listen()"
    )
    assert other.run("secret")["outputs"][0]["ename"] == "NameError"
    found = other.printed(
        "import os, subprocess\n"
        f"print(subprocess.getoutput('find / -name \"*{CANARY[:6]}*\" 2>/dev/null'))\n"
        "numbers = [n for n in os.listdir('/proc') if n.isdigit()]\n"
        "print([n for n in numbers if b'sleep' in open(f'/proc/{n}/cmdline', 'rb').read()])\n"
        "print(open('/proc/net/unix').read())"
    )
    assert CANARY[:6] not in found.replace("'*canary", "")
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
        f"os.symlink({str(victims_socket)!r}, '/run/glovebox/gw.sock')\nos.kill(os.getppid(), 9)"
    )
    cell = attacker.run("ran.append('the attacker was here')")
    assert cell["outputs"][0]["ename"] == "NameError", "the cell ran somewhere else"
    assert victim.printed("print(ran)") == "[]\n"
