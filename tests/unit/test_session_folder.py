"""A session's folder on real files: uploads are whole or not there, and nothing a sandbox lays out leads outside."""

import asyncio
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.config import Config
from orchestrator.config_quotas import Quotas as QuotasConfig
from orchestrator.disks_client import DisksClient
from orchestrator.errors import BadPath, DiskFull, FileMissing
from orchestrator.limits import PATH_PARTS
from orchestrator.people.quotas import Quotas
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.admission import Room
from orchestrator.sessions.network import Networks
from orchestrator.sessions.service import Sessions
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.audit import AuditLog
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.people import PeopleStore
from orchestrator.store.sessions import SessionStore
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath
from orchestrator.workspace.removal import remove_folder

IS_ROOT = os.getuid() == 0
UID = 200_001 if IS_ROOT else os.getuid()
KIB = 1024
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root gives files to another uid")
path = WorkspacePath.parse


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    made = SessionFolder(tmp_path / "sessions" / "s1", UID, 1024 * KIB)
    made.make()
    return made


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Make a folder outside of the session with a file that nobody may read or change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("canary")
    return outside


def workspace(folder: SessionFolder) -> Path:
    return folder.root / "workspace"


def incoming(folder: SessionFolder) -> list[str]:
    return os.listdir(folder.root / "incoming")


def upload(folder: SessionFolder, name: str, *chunks: bytes) -> bool:
    begun = folder.begin_upload(None)
    try:
        for chunk in chunks:
            begun.write(chunk)
        return begun.finish(path(name))
    finally:
        begun.close()


def read(folder: SessionFolder, name: str) -> bytes:
    with folder.opened(path(name)) as descriptor:
        return os.read(descriptor, 1 << 20)


def listed(folder: SessionFolder) -> list[str]:
    return [file.path for file in folder.list_files()]


def untouched(canary: Path) -> bool:
    return os.listdir(canary) == ["secret"] and (canary / "secret").read_text() == "canary"


def test_an_upload_appears_only_when_it_is_whole(folder: SessionFolder) -> None:
    begun = folder.begin_upload(10)
    begun.write(b"whole ")
    begun.write(bytearray(b"file"))
    assert os.listdir(workspace(folder)) == []
    assert begun.finish(path("a/b/c.txt")) is False
    begun.close()
    assert read(folder, "a/b/c.txt") == b"whole file"
    assert incoming(folder) == []


def test_a_broken_upload_leaves_nothing(folder: SessionFolder) -> None:
    begun = folder.begin_upload(None)
    begun.write(b"half")
    begun.close()
    assert os.listdir(workspace(folder)) == incoming(folder) == []
    assert upload(folder, "a", b"x" * 1024 * KIB) is False  # its bytes are free again


def test_replacing_a_file_leaves_its_readers_with_the_old_one(folder: SessionFolder) -> None:
    upload(folder, "a", b"old")
    with folder.opened(path("a")) as descriptor:
        assert upload(folder, "a", b"new") is True
        assert os.read(descriptor, 10) == b"old"
    assert read(folder, "a") == b"new"


@needs_root
def test_what_is_uploaded_belongs_to_the_sandbox(folder: SessionFolder) -> None:
    upload(folder, "d/e/a", b"x")
    for name in ("d", "d/e", "d/e/a"):
        found = (workspace(folder) / name).stat()
        assert (found.st_uid, found.st_gid) == (UID, UID)
    assert stat.S_IMODE((workspace(folder) / "d/e/a").stat().st_mode) == 0o644


@pytest.mark.parametrize("target", ["secret", "new"])
def test_an_upload_replaces_a_link_and_does_not_follow_it(folder: SessionFolder, canary: Path, target: str) -> None:
    (workspace(folder) / "a").symlink_to(canary / target)
    assert upload(folder, "a", b"uploaded") is True
    assert not (workspace(folder) / "a").is_symlink()
    assert read(folder, "a") == b"uploaded"
    assert untouched(canary)


def test_an_upload_over_a_hard_link_leaves_the_other_name_alone(folder: SessionFolder, canary: Path) -> None:
    os.link(canary / "secret", workspace(folder) / "a")
    upload(folder, "a", b"uploaded")
    assert untouched(canary)


@pytest.mark.parametrize("name", ["link/a", "link/deeper/a", "d/link/a"])
def test_an_upload_through_a_linked_folder_is_refused(folder: SessionFolder, canary: Path, name: str) -> None:
    (workspace(folder) / "d").mkdir()
    for where in ("link", "d/link"):
        (workspace(folder) / where).symlink_to(canary)
    with pytest.raises(BadPath):
        upload(folder, name, b"x")
    assert untouched(canary)
    assert (canary.stat().st_uid, incoming(folder)) == (os.getuid(), [])


def test_an_upload_onto_a_folder_or_beneath_a_file_is_refused(folder: SessionFolder) -> None:
    upload(folder, "file", b"x")
    (workspace(folder) / "folder").mkdir()
    for name in ("folder", "file/a"):
        with pytest.raises(BadPath, match="cannot be written"):
            upload(folder, name, b"x")
    assert listed(folder) == ["file"]


def test_an_upload_that_is_too_large_is_refused_at_once_or_on_its_way(folder: SessionFolder) -> None:
    with pytest.raises(DiskFull):
        folder.begin_upload(1024 * KIB + 1)
    with pytest.raises(DiskFull):
        upload(folder, "a", *[b"x" * 100 * KIB] * 11)
    assert listed(folder) == incoming(folder) == []
    folder.begin_upload(1024 * KIB).close()


def test_what_is_there_already_counts(folder: SessionFolder) -> None:
    (workspace(folder) / "made-inside").write_bytes(b"x" * 1000 * KIB)
    with pytest.raises(DiskFull, match="leaves 0 MiB"):
        folder.begin_upload(100 * KIB)
    (workspace(folder) / "made-inside").unlink()
    assert upload(folder, "a", b"x" * 100 * KIB) is False


def test_two_uploads_at_once_share_the_room(folder: SessionFolder) -> None:
    first, second = folder.begin_upload(None), folder.begin_upload(None)
    first.write(b"x" * 600 * KIB)
    with pytest.raises(DiskFull):
        second.write(b"x" * 600 * KIB)
    second.write(b"x" * 400 * KIB)
    first.close()
    second.write(b"x" * 600 * KIB)
    second.close()


def test_an_upload_that_ends_first_still_counts_for_the_second(folder: SessionFolder) -> None:
    first, second = folder.begin_upload(None), folder.begin_upload(None)
    first.write(b"x" * 600 * KIB)
    first.finish(path("first"))
    first.close()
    with pytest.raises(DiskFull):
        second.write(b"x" * 600 * KIB)
    second.close()
    upload(folder, "second", b"x" * 400 * KIB)


def test_many_uploads_in_threads_never_take_more_than_there_is(folder: SessionFolder) -> None:
    def one(number: int) -> int:
        try:
            upload(folder, f"{number}", *[b"x" * KIB] * 100)
        except DiskFull:
            return 0
        return 100 * KIB

    with ThreadPoolExecutor(8) as threads:
        assert 0 < sum(threads.map(one, range(40))) <= 1024 * KIB
    assert folder.usage().disk_bytes <= 1024 * KIB
    for file in folder.list_files():
        folder.delete(path(file.path))
    assert upload(folder, "all", b"x" * 1024 * KIB) is False  # nothing stayed charged


def odd_things(folder: SessionFolder, canary: Path) -> socket.socket:
    """Lay out what is no regular file; the socket is to be closed."""
    inside = workspace(folder)
    (inside / "link").symlink_to(canary / "secret")
    (inside / "dangling").symlink_to("nowhere")
    (inside / "linked").symlink_to(canary)
    (inside / "folder").mkdir()
    os.mkfifo(inside / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(inside, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    return listener


ODD = ["link", "dangling", "linked", "linked/secret", "folder", "fifo", "socket", "missing", "fifo/a", "link/a", "a/b"]


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_regular_file_is_refused_without_waiting(folder: SessionFolder, canary: Path, name: str) -> None:
    with odd_things(folder, canary):
        open_before, began = os.listdir("/proc/self/fd"), time.monotonic()
        with pytest.raises(FileMissing):
            folder.open(path(name))
        assert (os.listdir("/proc/self/fd"), time.monotonic() - began < 20) == (open_before, True)


def test_a_folder_swapped_for_a_link_while_it_is_opened_never_leads_outside(
    folder: SessionFolder, canary: Path
) -> None:
    inside = workspace(folder)
    (inside / "real").mkdir()
    (inside / "real/secret").write_text("own")
    (inside / "link").symlink_to(canary)
    done, found = threading.Event(), set[bytes]()

    def swap() -> None:
        while not done.is_set():
            for name in ("real", "link"):
                with suppress(OSError):  # an upload may have made the folder meanwhile
                    os.rename(inside / name, inside / "a")
                    os.rename(inside / "a", inside / name)

    swapper = threading.Thread(target=swap)
    swapper.start()
    tried, until = 0, time.monotonic() + 5
    while tried < 500 or (not found and time.monotonic() < until):
        tried += 1
        with suppress(FileMissing, BadPath):
            found.add(read(folder, "a/secret"))
            upload(folder, "a/secret", b"own")
    done.set()
    swapper.join()
    assert found == {b"own"}
    assert untouched(canary)


def test_the_listing_has_regular_files_with_plain_names_only(folder: SessionFolder, canary: Path) -> None:
    inside = workspace(folder)
    for name in ("b", "a é 数.csv", "d/x", ".hidden", "a\nb", "a\u202eb", b"\xff\xfe".decode(errors="surrogateescape")):
        (inside / name).parent.mkdir(exist_ok=True)
        (inside / name).write_text("x")
    with odd_things(folder, canary):
        assert listed(folder) == [".hidden", "a é 数.csv", "b", "d/x"]
    assert [file.size for file in folder.snapshot().values()] == [1, 1, 1, 1]


def test_every_listed_file_can_be_asked_for(folder: SessionFolder) -> None:
    inside = workspace(folder)
    for parts in (["d"] * (PATH_PARTS - 1), ["d"] * PATH_PARTS, ["x" * 250] * 3, ["x" * 250] * 5):
        below = os.open(inside, os.O_RDONLY)
        for part in parts:
            if part not in os.listdir(below):
                os.mkdir(part, dir_fd=below)
            below, above = os.open(part, os.O_RDONLY, dir_fd=below), below
            os.close(above)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(below)
    assert [len(path(name).parts) for name in listed(folder)] == [PATH_PARTS, 4]
    assert all(read(folder, name) == b"" for name in listed(folder))


def test_the_listing_and_the_looking_end_somewhere(folder: SessionFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        (workspace(folder) / f"{number:02}").write_text("")
    monkeypatch.setattr("orchestrator.workspace.folder.LISTED_FILES", 10)
    assert listed(folder) == [f"{number:02}" for number in range(10)]
    assert len(folder.snapshot()) == 60
    monkeypatch.setattr("orchestrator.workspace.glances.SCAN_ENTRIES", 25)
    assert len(folder.snapshot()) == 25


def test_files_links_and_empty_folders_are_deleted(folder: SessionFolder, canary: Path) -> None:
    upload(folder, "d/a", b"x")
    with odd_things(folder, canary):
        for name in ("d/a", "d", "link", "linked", "fifo", "folder", "socket"):
            folder.delete(path(name))
    assert os.listdir(workspace(folder)) == ["dangling"]
    assert untouched(canary)


def test_a_folder_with_files_is_not_deleted(folder: SessionFolder) -> None:
    upload(folder, "d/a", b"x")
    with pytest.raises(BadPath, match="files in it"):
        folder.delete(path("d"))
    assert listed(folder) == ["d/a"]


@pytest.mark.parametrize("name", ["missing", "linked/secret", "link/a", "missing/a"])
def test_what_is_not_there_cannot_be_deleted(folder: SessionFolder, canary: Path, name: str) -> None:
    with odd_things(folder, canary), pytest.raises(FileMissing):
        folder.delete(path(name))
    assert untouched(canary)


@pytest.mark.parametrize("name", ["gateway.json", "gw.sock"])
@pytest.mark.parametrize("leave", ["file", "link", "folder", "tree", "nothing"])
def test_whatever_a_sandbox_left_the_next_gateway_finds_its_settings(
    folder: SessionFolder, canary: Path, name: str, leave: str
) -> None:
    left = folder.run / name
    layouts: dict[str, Callable[[], object]] = {
        "file": lambda: left.write_text("old"),
        "link": lambda: left.symlink_to(canary / "secret"),
        "folder": left.mkdir,
        "tree": lambda: ((left / "a/b").mkdir(parents=True), (left / "a/link").symlink_to(canary)),
        "nothing": lambda: None,
    }
    layouts[leave]()
    folder.leave_gateway_settings("t0ken", "k1")
    settings = folder.run / "gateway.json"
    assert json.loads(settings.read_text()) == {"token": "t0ken", "kernel_id": "k1"}
    assert (stat.S_IMODE(settings.lstat().st_mode), settings.lstat().st_uid) == (0o600, UID)
    assert os.listdir(folder.run) == ["gateway.json"]
    assert untouched(canary)


def test_only_the_owner_may_enter_and_making_twice_changes_nothing(folder: SessionFolder) -> None:
    upload(folder, "a", b"x")
    folder.make()
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder.root, *folder.root.iterdir())} == {0o700}
    assert [(folder.root / name).stat().st_uid for name in ("workspace", "run")] == [UID, UID]
    assert listed(folder) == ["a"]


def test_a_tree_3000_deep_and_5000_wide_with_links_outside_is_removed(tmp_path: Path, canary: Path) -> None:
    top = tmp_path / "session"
    top.mkdir()
    for number in range(5000):
        os.link(canary / "secret", top / f"{number}")
    below = os.open(top, os.O_RDONLY)
    for number in range(3000):
        os.mkdir("deeper", dir_fd=below)
        if number % 100 == 0:
            os.symlink(canary, "folder", dir_fd=below)
            os.symlink(canary / "secret", "file", dir_fd=below)
        below, above = os.open("deeper", os.O_RDONLY, dir_fd=below), below
        os.close(above)
    os.close(below)
    remove_folder(top, tmp_path / "trash")
    assert (sorted(os.listdir(tmp_path)), os.listdir(tmp_path / "trash")) == (["outside", "trash"], [])
    assert untouched(canary)


def test_removing_what_is_gone_or_a_link_is_fine(tmp_path: Path, canary: Path) -> None:
    remove_folder(tmp_path / "gone", tmp_path / "trash")
    (tmp_path / "link").symlink_to(canary)
    remove_folder(tmp_path / "link", tmp_path / "trash")
    assert os.listdir(tmp_path / "trash") == []
    assert untouched(canary)


async def test_what_a_crash_cut_off_is_swept_at_the_next_start(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"done": []}\n')
        writer.close()

    database = Database(f"sqlite:///{tmp_path / 'db'}")
    await database.open()
    store, conversation = SessionStore(database), ConversationStore(database)
    record = await store.add("somebody", "a session", "standard")
    folder = SessionFolder(tmp_path / "sessions" / record.id, UID, 1024 * KIB)
    folder.make()
    upload(folder, "kept", b"x")
    folder.begin_upload(None).write(b"half")
    (tmp_path / "trash/half/d").mkdir(parents=True)
    (tmp_path / "sessions" / ("0" * 32) / "workspace").mkdir(parents=True)  # its row is gone already
    async with await asyncio.start_unix_server(answer, tmp_path / "spawner"):
        networks = Networks(Config(), None, store, tell=lambda _record: None)
        spawner, disks = SpawnerClient(tmp_path / "spawner"), DisksClient(tmp_path / "disks")
        activity = Activity(AuditLog(database))
        room, quotas = Room(10_000, 10), Quotas(QuotasConfig(), PeopleStore(database))
        await Sessions(
            Config(), tmp_path, store, conversation, spawner, disks, networks, room, quotas.of, activity
        ).open()
    await database.close()
    assert incoming(folder) == os.listdir(tmp_path / "trash") == []
    assert os.listdir(tmp_path / "sessions") == [record.id]
    assert listed(folder) == ["kept"]
