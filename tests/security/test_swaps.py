"""Names that a sandbox swaps in a loop, through the API and real restarts, and from gVisor (THREATS G1, G10, G11).

`test_races.py` has the race of the functions themselves against runc's sandboxes. Here they race gVisor's, whose files
reach the host by another way (it cannot exchange two names, so they are renamed), with each kind of thing that a name
can be; and code that checks a path before it uses it is seen to fall for it.
"""

import asyncio
import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.errors import BadPath, FileMissing
from orchestrator.kernel.door import NotOurSocket, connect_to_gateway, opened_socket
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath
from tests.security.racing import SECRET, SWAPPER, Canary, CanarySocket, swapping
from tests.stack import RUNTIMES, MakeSession, Stack, wait_for

UID = 269_001
# Some of the 10^5 tries of `test_races.py`: gVisor's swapper is slower, so more tries in between would meet the same.
READS, WRITES = 30_000, 4_000
CONNECTS, WHOLE_CONNECTS = 30_000, 4_000
BETWEEN_S = 0.001  # from a naive check to the use, as a busy thread's turn may take: such code loses soon
NAMES = ("file", "folder/secret")

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to another uid")
with_gvisor = pytest.mark.skipif("runsc" not in RUNTIMES, reason="runs with gVisor")
RUNTIME = "runsc"


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    made = SessionFolder(tmp_path / "sessions" / "s1", UID, 100 * 2**20)
    made.make()
    return made


@pytest.fixture
def canaries(tmp_path: Path) -> list[Canary]:
    """Return one canary at an absolute path, and one that a relative link out of the workspace leads to."""
    return [Canary(tmp_path / "absolute"), Canary(tmp_path / "sessions" / "relative")]


def targets(canaries: list[Canary]) -> list[str]:
    return [str(canaries[0].folder), "../../relative"]


class Racer:
    """Uses a workspace as the API does, and counts what came of it."""

    def __init__(self, folder: SessionFolder) -> None:
        self.folder = folder
        self.seen: Counter[str] = Counter()

    def read(self, path: WorkspacePath) -> None:
        try:
            with self.folder.opened(path) as descriptor:
                content = os.read(descriptor, 100)
        except FileMissing:
            self.seen["read refused"] += 1
        else:
            assert content in (b"inside", b"")  # never the canary's
            self.seen["read"] += 1

    def write(self, path: WorkspacePath) -> None:
        begun = self.folder.begin_upload(6)
        try:
            begun.write(b"inside")
            begun.finish(path)
            self.seen["written"] += 1
        except BadPath:
            self.seen["write refused"] += 1
        finally:
            begun.close()

    def delete(self, path: WorkspacePath) -> None:
        try:
            self.folder.delete(path)
            self.seen["deleted"] += 1
        except (FileMissing, BadPath):
            self.seen["delete refused"] += 1


@with_gvisor
def test_nothing_outside_is_ever_read_written_or_deleted_through_a_swapped_name(
    folder: SessionFolder, canaries: list[Canary]
) -> None:
    racer = Racer(folder)
    paths = [WorkspacePath.parse(name) for name in NAMES]
    with swapping("files", folder.root / "workspace", UID, targets(canaries), RUNTIME):
        for number in range(READS):
            racer.read(paths[number % 2])
            if number % 200 == 0:
                assert all(file.size in (0, 6) for file in folder.list_files())  # a canary has 7 bytes
        for number in range(WRITES):
            racer.write(paths[number % 2])
            if number % 4 == 0:
                racer.delete(paths[number // 4 % 2])
    assert len(racer.seen) == 6, racer.seen
    assert min(racer.seen.values()) > 5, racer.seen  # the race was really run: each came to pass
    assert all(canary.untouched() for canary in canaries)
    assert os.listdir(folder.root / "incoming") == []


@with_gvisor
def test_the_same_race_is_lost_by_code_that_opens_by_path(folder: SessionFolder, canaries: list[Canary]) -> None:
    """The negative control, with a check before the use, as others have it."""
    workspace = folder.root / "workspace"

    def naively(name: str) -> bytes:
        with suppress(OSError):
            path = workspace / name
            if path.is_file() and path.resolve().is_relative_to(workspace.resolve()):
                time.sleep(BETWEEN_S)
                return os.read(descriptor := os.open(path, os.O_RDONLY | os.O_NONBLOCK), 100) + _close(descriptor)
        return b""

    with swapping("files", workspace, UID, targets(canaries), RUNTIME):
        assert any(naively(NAMES[number % 2]) == SECRET for number in range(READS))


def _close(descriptor: int) -> bytes:
    os.close(descriptor)
    return b""


def test_nothing_outside_is_reached_through_the_api_either(make_session: MakeSession, stack: Stack) -> None:
    attacker, victim = make_session(), make_session()
    victim.put("secret", SECRET)
    outside = stack.folder / "canary"
    shutil.rmtree(outside, ignore_errors=True)
    canary = Canary(outside)
    victims = stack.folder / "data" / "sessions" / victim.id / "workspace"
    attacker.put("swap_names.py", SWAPPER.read_bytes())
    attacker.run(
        "import subprocess, sys\nsubprocess.Popen([sys.executable, 'swap_names.py', 'files', '/mnt/data', "
        f"{str(outside)!r}, '../../{victim.id}/workspace', {str(victims)!r}], start_new_session=True)"
    )
    wait_for(lambda: "swapping" in attacker.files(), "the swapper")
    seen: Counter[tuple[str, int]] = Counter()

    def use(worker: int) -> None:
        with stack.client() as client:
            for number in range(300):
                path = f"{attacker.path}/files/{NAMES[number % 2]}"
                match (number + worker) % 5:
                    case 0:
                        answer = client.put(path, content=b"inside")
                    case 1 if number % 10 == 1:
                        answer = client.delete(path)
                    case 2 if number % 50 == 2:
                        answer = client.get(f"{attacker.path}/files")
                    case _:
                        answer = client.get(path)
                        assert answer.status_code != 200 or answer.content in (b"inside", b"")
                seen[answer.request.method, answer.status_code] += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert {status for _, status in seen} <= {200, 201, 204, 404, 422}, seen
    assert seen["GET", 200] > 10, seen
    assert seen["GET", 404] > 10, seen
    assert canary.untouched()
    assert victim.files() == {"secret": len(SECRET)}
    assert (victims / "secret").read_bytes() == SECRET


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[list[CanarySocket]]:
    """Run an engine's socket, which is root's, and another session's, all in reach of links."""
    run = tmp_path / "sessions" / "s2"
    run.mkdir(parents=True)
    made = [CanarySocket(tmp_path / "docker.sock", 0), CanarySocket(run / "gw.sock", UID + 1)]
    yield made
    for one in made:
        one.close()


def socket_targets(listeners: list[CanarySocket]) -> list[str]:
    return [str(listeners[0].path), str(listeners[1].path), "../../s2/gw.sock"]


@with_gvisor
async def test_no_swapped_socket_ever_leads_to_another_listener(
    folder: SessionFolder, listeners: list[CanarySocket]
) -> None:
    seen: Counter[str] = Counter()

    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.setblocking(False)
            try:
                with opened_socket(folder.run, UID) as path:
                    line.connect(path)
                seen["connected"] += 1
            except NotOurSocket:
                seen["refused"] += 1
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                seen["not there"] += 1

    with swapping("sockets", folder.run, UID, socket_targets(listeners), RUNTIME):
        for _ in range(CONNECTS):
            connect()
        gvisors = 0
        for _ in range(WHOLE_CONNECTS):
            try:
                (await connect_to_gateway(folder.run, UID, 0.2, gvisors)).close()
                seen["whole connected"] += 1
            except NotOurSocket:
                seen["whole refused"] += 1
            except TimeoutError:
                seen["whole late"] += 1
    await asyncio.sleep(0.1)  # a canary would have accepted by now
    assert min(seen[name] for name in ("connected", "refused", "whole connected", "whole refused")) > 30, seen
    assert [one.connections for one in listeners] == [0, 0]


@with_gvisor
def test_the_same_socket_race_is_lost_by_code_that_connects_by_path(
    folder: SessionFolder, listeners: list[CanarySocket]
) -> None:
    """The negative control, with a check before the use."""
    path = folder.run / "gw.sock"

    def naively() -> None:
        with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
            line.setblocking(False)
            if path.is_socket() and not path.is_symlink() and path.stat().st_uid == UID:
                time.sleep(BETWEEN_S)
                line.connect(str(path))

    with swapping("sockets", folder.run, UID, socket_targets(listeners), RUNTIME):
        for _ in range(CONNECTS):
            naively()
            if any(one.connections for one in listeners):
                return
    pytest.fail("the naive code was never led astray, so the race proves nothing")


def test_real_restarts_with_a_swapped_socket_never_reach_another_session(
    make_session: MakeSession, stack: Stack
) -> None:
    attacker, victim = make_session(), make_session()
    victim.run("ran = []")
    victims = stack.folder / "data" / "sessions" / victim.id / "run" / "gw.sock"
    engine = stack.folder / "docker.sock"
    engine.unlink(missing_ok=True)
    listener = CanarySocket(engine, 0)
    attacker.put("swap_names.py", SWAPPER.read_bytes())
    for _ in range(2):
        attacker.run(
            "import pathlib, subprocess, sys\npathlib.Path('/run/glovebox/swapping').unlink(missing_ok=True)\n"
            "subprocess.Popen([sys.executable, 'swap_names.py', 'sockets', '/run/glovebox', "
            f"{str(victims)!r}, '../../{victim.id}/run/gw.sock', {str(engine)!r}], start_new_session=True)"
        )
        wait_for((stack.folder / "data" / "sessions" / attacker.id / "run" / "swapping").exists, "the swapper")
        assert attacker.client.post(f"{attacker.path}/restart").status_code == 204
        cell = attacker.run("ran.append('the attacker was here')")
        assert cell["outputs"][0]["ename"] == "NameError", "the cell ran somewhere else"
    assert victim.printed("print(ran)") == "[]\n"
    assert listener.connections == 0
    listener.close()
