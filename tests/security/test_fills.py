"""Code that fills the disk, takes all its inodes, or lays out what is hard to remove (THREATS S7, G12).

The sizes are what a host can bear in seconds: the watch of a plain workspace looks twice a second, so what it lets pass
is bounded by how fast files can be made in between, and stated here. With gVisor making files is ten times slower.
"""

import os
from pathlib import Path

from tests.engine import docker
from tests.security.conftest import LIMITS
from tests.security.watch import assert_held, watching
from tests.stack import ApiSession, MakeSession, Stack

DISK_MB = 32
# What may be written before the watch has looked and its interrupt has been heeded; a disk writes a gigabyte a second.
OVERSHOOT_MB = 3000
MOST_FILES = 600_000
FILES_FOR_S = 5


def workspace(stack: Stack, session: ApiSession) -> Path:
    return stack.folder / "data" / "sessions" / session.id / "workspace"


def blocks_mb(folder: Path) -> float:
    return sum(path.stat(follow_symlinks=False).st_blocks for path in folder.rglob("*")) / 2048


def test_a_full_workspace_is_told_and_usable_again_once_files_are_deleted(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session(profile="tight")
    session.run("1")
    with watching(stack, peer) as watch:
        cell = session.run("i = 0\nwhile True:\n    open(f'{i}', 'wb').write(bytes(1 << 20)); i += 1", timeout_s=20)
        assert cell["outputs"][-1]["ename"] == "DiskFull", cell
        assert "Delete files to go on." in cell["outputs"][-1]["evalue"]
        assert blocks_mb(workspace(stack, session)) < DISK_MB + OVERSHOOT_MB
        refused = session.client.put(f"{session.path}/files/one-more", content=b"x")
        assert refused.json()["code"] == "disk_full"
        removed = session.run("import os\nfor name in os.listdir('.'): os.unlink(name)")
        assert removed["status"] == "ok"
        session.put("one-more", b"x")
    assert_held(watch)


def test_very_many_files_are_stopped_and_can_be_deleted_and_the_session_as_well(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session()
    session.run("1")
    make = (
        "import os, time\nos.makedirs('many', exist_ok=True)\nuntil = time.monotonic() + {}\ni = 0\n"
        "while time.monotonic() < until:\n    open(f'many/{{time.time_ns()}}-{{i}}', 'w').close(); i += 1"
    )
    with watching(stack, peer) as watch:
        cell = session.run(make.format(FILES_FOR_S), timeout_s=30)
        made = len(os.listdir(workspace(stack, session) / "many"))
        assert 100 < made < MOST_FILES
        if made > 2 * LIMITS["USAGE_ENTRIES"]:  # beyond what the watch counts to
            assert cell["outputs"][-1]["ename"] == "DiskFull", cell
        assert len(session.files()) <= 10_000
        # A cell that deletes is ended by the watch as long as there are too many to count; each brings it nearer.
        for _ in range(30):
            if session.run("import shutil; shutil.rmtree('many')", timeout_s=30)["status"] == "ok":
                break
        assert session.printed("import os; print(os.listdir('.'))") == "[]\n"
        session.run(make.format(FILES_FOR_S / 4), timeout_s=30)
        session.delete()
    assert_held(watch)
    assert not workspace(stack, session).exists()
    assert list((stack.folder / "data" / "trash").iterdir()) == []


def test_sparse_files_deep_folders_core_dumps_and_the_log_take_nothing_of_the_host(
    make_session: MakeSession, stack: Stack, peer: ApiSession
) -> None:
    session = make_session()
    session.run("1")
    with watching(stack, peer) as watch:
        printed = session.printed(
            "import errno, os, resource, subprocess, sys\n"
            "with open('sparse', 'wb') as file:\n"
            "    for size in (1 << 50, 1 << 40):\n"
            "        try: file.truncate(size); print('made', size)\n"
            "        except OSError as error: print(errno.errorcode[error.errno])\n"
            "    file.truncate(1 << 30)\n"
            "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
            "print(subprocess.run([sys.executable, '-c', 'import os; os.abort()'], stderr=-3).returncode)\n"
            "print(sorted(os.listdir('.')))"
        )
        assert printed.splitlines() == ["EFBIG", "EFBIG", "(0, 0)", "-6", "['sparse']"]
        assert blocks_mb(workspace(stack, session)) < 1
        found = session.client.get(f"{session.path}/files/sparse", headers={"Range": "bytes=1073741814-"})
        assert found.content == bytes(10)

        flood = session.printed(
            "import os, time\nuntil = time.monotonic() + 1\nwritten = 0\n"
            "for stream in (1, 2):\n    log = os.open(f'/proc/1/fd/{stream}', os.O_WRONLY | os.O_NONBLOCK)\n"
            "    while time.monotonic() < until:\n"
            "        try: written += os.write(log, b'x' * 65536)\n        except BlockingIOError: time.sleep(0.001)\n"
            "print(written)"
        )
        assert flood.strip().isdecimal()
        container = stack.container_of(session.id)
        assert docker("inspect", "--format", "{{.HostConfig.LogConfig.Type}} [{{.LogPath}}]", container) == "none []"

        session.run(
            "def down():\n    for _ in range(1000):\n        os.mkdir('d'); os.chdir('d')\n"
            "    open('at the end', 'w').write('x')\n    os.chdir('/mnt/data')\ndown()"
        )
        assert set(session.files()) == {"sparse"}  # so deep nothing is listed
        removed = [session.run("import shutil; shutil.rmtree('d', ignore_errors=True)") for _ in range(3)]
        assert removed[-1]["status"] == "ok"
        session.run("down()")
        session.delete()
    assert_held(watch)
    assert not workspace(stack, session).exists()
