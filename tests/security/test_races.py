"""Races (THREATS G1, G10, G11): a container swaps names without end while the orchestrator's code opens them.

The code is called directly, 10^5 times, on a folder that a real container owns. The oracles lie outside of that folder:
a canary that may never be read or written, a folder that may not change, a listener that nobody may connect to. Each
harness is seen to bite: the naive way to do the same falls for it.
"""

import asyncio
import contextlib
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import BadPath, Conflict, FileMissing
from orchestrator.kernel.door import NotOurSocket, connect_to_gateway
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath
from orchestrator.workspace.undo import NothingToUndo
from tests.engine import docker
from tests.stack import wait_for

UID = 200_777
CANARY = b"the canary outside"
OURS = b"an upload"
SCRIPT = Path(__file__).with_name("swapper.py")
READS, WRITES, DELETES, CONNECTS = 90_000, 4_000, 3_000, 100_000
UNDOS, RENAMES, WHOLE_DELETES = 1_500, 2_000, 1_000
NAIVE_TRIES = 200_000


@contextlib.contextmanager
def swapping(kind: str, folder: Path, outside: Path) -> Iterator[None]:
    """Have a container swap names in a folder meanwhile."""
    name = f"gbtest-swapper-{uuid.uuid4().hex[:12]}"
    mounts = ["-v", f"{folder}:/swapped", "-v", f"{SCRIPT}:/swapper.py:ro", "-w", "/swapped"]
    limits = ["--network", "none", "--user", f"{UID}:{UID}", "--memory", "128m", "--cpus", "1", "--pids-limit", "64"]
    python = ["--entrypoint", "/opt/python/bin/python", "glovebox-sandbox", "-I", "/swapper.py", kind, str(outside)]
    docker("run", "-d", "--name", name, *limits, *mounts, *python)
    try:
        yield
        assert docker("inspect", name, "--format", "{{.State.Running}}") == "true", docker("logs", name)
    finally:
        docker("rm", "-f", name)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("canary", "inner"):
        (folder / name).write_bytes(CANARY)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    made = SessionFolder(tmp_path / "session", UID, 2**30)
    made.make()
    return made


def state(outside: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all that must stay as it is: names, owners, modes and contents."""
    return {found.name: (found.stat().st_uid, found.stat().st_mode, found.read_bytes()) for found in outside.iterdir()}


def outcome(attempt: Callable[[], str]) -> str:
    try:
        return attempt()
    except (FileMissing, BadPath, Conflict, NothingToUndo) as error:
        return type(error).__name__


def test_files_that_are_swapped_for_links_lead_nowhere(folder: SessionFolder, outside: Path) -> None:
    before = state(outside)
    paths = [WorkspacePath.parse(path) for path in ("target", "sub/inner")]

    def read(path: WorkspacePath) -> str:
        with folder.opened(path) as descriptor:
            content = os.read(descriptor, 100)
        assert CANARY not in content
        return "read"

    def write(path: WorkspacePath) -> str:
        upload = folder.begin_upload(None)
        try:
            upload.write(OURS)
            upload.finish(path, undoable=True)
        finally:
            upload.close()
        return "written"

    def delete(path: WorkspacePath) -> str:
        folder.delete(path)
        return "deleted"

    def undo(path: WorkspacePath) -> str:
        write(path)
        folder.undo_upload(path)
        return "undone"

    def rename(path: WorkspacePath) -> str:
        folder.rename(path, aside)
        folder.rename(aside, path)
        return "renamed"

    def delete_all(path: WorkspacePath) -> str:
        folder.delete_all(WorkspacePath(path.parts[:1]))
        return "deleted with all"

    aside = WorkspacePath.parse("aside/name")
    attempts = ((READS, read), (WRITES, write), (UNDOS, undo), (RENAMES, rename), (DELETES, delete))
    happened: Counter[str] = Counter()
    with swapping("workspace", folder.root / "workspace", outside):
        wait_for((folder.root / "workspace" / "sublink").is_symlink, "the swapper")
        for tries, attempt in (*attempts, (WHOLE_DELETES, delete_all)):
            for turn in range(tries):
                happened[outcome(lambda: attempt(paths[turn % 2]))] += 1  # noqa: B023
                if turn % 1000 == 0:
                    assert all(file.size < 2**20 for file in folder.list_files())
    assert state(outside) == before
    assert sum(happened.values()) == sum(tries for tries, _ in attempts) + WHOLE_DELETES
    assert happened["read"], "the race never let a file be read"
    assert happened["written"]
    assert happened["deleted"]
    # Whether the others ever win against so quick a swapper is chance; that they work is shown by test_undo.py.
    assert happened["FileMissing"], "the race never struck"
    assert happened["BadPath"]


def test_the_same_race_is_won_against_opening_by_path(folder: SessionFolder, outside: Path) -> None:
    """The negative control."""
    target = folder.root / "workspace" / "target"
    with swapping("workspace", folder.root / "workspace", outside):
        wait_for((folder.root / "workspace" / "sublink").is_symlink, "the swapper")
        for _ in range(NAIVE_TRIES):
            with contextlib.suppress(OSError):
                descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    if os.read(descriptor, 100) == CANARY:
                        return
                finally:
                    os.close(descriptor)
    pytest.fail("the race was never won, so the other test shows nothing")


class Listener:
    """A listener outside that counts who comes."""

    def __init__(self, path: Path) -> None:
        self.connections = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        path.chmod(0o777)
        self._socket.listen(512)
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                self.connections += 1
                line.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def listener() -> Iterator[Listener]:
    # A folder of its own: the path of a socket may have 107 characters.
    folder = Path(f"/tmp/gbtest-{uuid.uuid4().hex[:12]}")
    folder.mkdir(mode=0o755)
    made = Listener(folder / "canary.sock")
    try:
        yield made
    finally:
        made.close()
        (folder / "canary.sock").unlink()
        folder.rmdir()


def where(listener: Listener) -> Path:
    return Path(listener._socket.getsockname()).parent


async def test_a_socket_that_is_swapped_leads_only_to_its_own_sandbox(
    folder: SessionFolder, listener: Listener
) -> None:
    happened: Counter[str] = Counter()
    with swapping("socket", folder.run, where(listener)):
        await asyncio.to_thread(wait_for, (folder.run / "ready").exists, "the swapper")
        for _ in range(CONNECTS):
            try:
                (await connect_to_gateway(folder.run, UID, 10)).close()
                happened["connected"] += 1
            except (NotOurSocket, OSError) as error:
                happened[type(error).__name__] += 1
    assert listener.connections == 0
    assert happened["connected"], "the race never let us in"
    assert happened["OSError"] + happened["NotOurSocket"], "the race never struck"


def test_the_same_race_is_won_against_connecting_by_path(folder: SessionFolder, listener: Listener) -> None:
    """The negative control."""
    with swapping("socket", folder.run, where(listener)):
        wait_for((folder.run / "ready").exists, "the swapper")
        folder_of_sockets = os.open(folder.run, os.O_PATH)
        for _ in range(NAIVE_TRIES):
            with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
                line.connect(f"/proc/self/fd/{folder_of_sockets}/gw.sock")
            if listener.connections:
                break
        os.close(folder_of_sockets)
    assert listener.connections, "the race was never won, so the other test shows nothing"
