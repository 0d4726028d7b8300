"""Uploads that are taken back, names that change, folders that go: on real files, with a sandbox that is in the way."""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import BadPath, Conflict, DiskFull, FileMissing
from orchestrator.limits import UNDO_UPLOADS
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath
from orchestrator.workspace.removal import remove_beneath
from orchestrator.workspace.undo import NothingToUndo

UID = 200_001 if os.getuid() == 0 else os.getuid()
KIB = 1024
path = WorkspacePath.parse


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    return made(tmp_path / "sessions" / "s1")


def made(root: Path, disk_bytes: int = 1024 * KIB) -> SessionFolder:
    folder = SessionFolder(root, UID, disk_bytes)
    folder.make()
    return folder


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Make a folder outside of the session with a file that nobody may read, move or change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("canary")
    return outside


def untouched(canary: Path) -> bool:
    return os.listdir(canary) == ["secret"] and (canary / "secret").read_text() == "canary"


def inside(folder: SessionFolder) -> Path:
    return folder.root / "workspace"


def kept(folder: SessionFolder) -> list[str]:
    where = inside(folder) / ".glovebox" / "replaced"
    return os.listdir(where) if where.is_dir() else []


def upload(folder: SessionFolder, name: str, content: bytes) -> bool:
    begun = folder.begin_upload(len(content))
    try:
        begun.write(content)
        return begun.finish(path(name), undoable=True)
    finally:
        begun.close()


def read(folder: SessionFolder, name: str) -> bytes:
    with folder.opened(path(name)) as descriptor:
        return os.read(descriptor, 1 << 20)


def listed(folder: SessionFolder) -> list[str]:
    return [file.path for file in folder.list_files()]


def test_uploads_are_taken_back_one_by_one_and_the_first_leaves_nothing(folder: SessionFolder) -> None:
    for content in (b"one", b"two", b"", b"four"):
        upload(folder, "d/a.csv", content)
    for before in (b"", b"two", b"one"):
        folder.undo_upload(path("d/a.csv"))
        assert read(folder, "d/a.csv") == before
    folder.undo_upload(path("d/a.csv"))
    assert listed(folder) == kept(folder) == []
    with pytest.raises(NothingToUndo):
        folder.undo_upload(path("d/a.csv"))


def test_a_file_that_code_made_is_there_again_when_the_upload_over_it_is_taken_back(folder: SessionFolder) -> None:
    (inside(folder) / "a").write_bytes(b"made by code")
    upload(folder, "a", b"uploaded")
    folder.undo_upload(path("a"))
    assert read(folder, "a") == b"made by code"


def test_a_restart_in_between_loses_nothing(folder: SessionFolder) -> None:
    upload(folder, "a", b"one")
    upload(folder, "a", b"two")
    again = made(folder.root)
    again.undo_upload(path("a"))
    assert read(again, "a") == b"one"


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("at", ["before it is kept", "before it lands"])
def test_a_crash_in_the_middle_of_a_landing_loses_no_file(
    folder: SessionFolder, monkeypatch: pytest.MonkeyPatch, at: str, replaces: bool
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    if replaces:
        upload(folder, "a", b"one")
    begun = folder.begin_upload(None)
    begun.write(b"two")
    with monkeypatch.context() as patched:
        # A process that is killed cleans nothing up.
        patched.setattr(folder.undo, "_drop", lambda _name: 0)
        written = folder.undo._write
        patched.setattr(folder.undo, "_write", lambda entries: written(entries) if len(entries) > replaces else None)
        patched.setattr(os, "link" if at == "before it is kept" and replaces else "rename", crash)
        with pytest.raises(Crash):
            begun.finish(path("a"), undoable=True)
    again = made(folder.root)
    with suppress(NothingToUndo):
        again.undo_upload(path("a"))
    assert listed(again) == (["a"] if replaces else [])
    assert not replaces or read(again, "a") == b"one"
    assert kept(again) == []


def test_the_last_twenty_are_kept(folder: SessionFolder) -> None:
    for number in range(UNDO_UPLOADS + 10):
        upload(folder, "a", f"{number}".encode())
    assert len(kept(folder)) == UNDO_UPLOADS
    for _ in range(UNDO_UPLOADS):
        folder.undo_upload(path("a"))
    assert read(folder, "a") == b"9"
    with pytest.raises(NothingToUndo):
        folder.undo_upload(path("a"))


def test_what_was_replaced_gives_way_to_uploads_the_oldest_first(folder: SessionFolder) -> None:
    for number in range(4):
        upload(folder, "a", bytes([number]) * 200 * KIB)  # 200 KiB, and up to three that were replaced
    upload(folder, "b", b"x" * 700 * KIB)
    assert folder.usage().disk_bytes <= 1024 * KIB
    folder.delete(path("b"))
    upload(folder, "c", b"c" * 100 * KIB)
    assert read(folder, "a")[:1] == b"\x03"
    upload(folder, "c", b"x" * 700 * KIB)
    assert sorted(listed(folder)) == ["a", "c"]


def test_what_the_latest_upload_replaced_stays_even_where_room_is_short(folder: SessionFolder) -> None:
    upload(folder, "a", b"1" * 400 * KIB)
    upload(folder, "a", b"2" * 500 * KIB)
    assert len(kept(folder)) == 1
    folder.undo_upload(path("a"))
    assert read(folder, "a") == b"1" * 400 * KIB


def test_a_cell_that_fills_the_disk_has_the_room_of_what_was_replaced(folder: SessionFolder) -> None:
    upload(folder, "a", b"1" * 300 * KIB)
    upload(folder, "a", b"2" * 300 * KIB)
    before = folder.usage()
    (inside(folder) / "by-code").write_bytes(b"x" * 500 * KIB)
    assert folder.outgrew(before) is False
    assert kept(folder) == []
    (inside(folder) / "more-by-code").write_bytes(b"x" * 500 * KIB)
    assert folder.outgrew(before) is True


def test_room_is_not_found_where_there_is_none(folder: SessionFolder) -> None:
    upload(folder, "a", b"1" * 300 * KIB)
    upload(folder, "a", b"2" * 600 * KIB)
    with pytest.raises(DiskFull):
        upload(folder, "b", b"x" * 500 * KIB)
    assert listed(folder) == ["a"]


def test_what_code_put_in_an_uploads_place_is_not_taken_for_the_upload(folder: SessionFolder) -> None:
    upload(folder, "a", b"uploaded")
    (inside(folder) / "new").write_bytes(b"by code")
    os.replace(inside(folder) / "new", inside(folder) / "a")
    with pytest.raises(NothingToUndo):
        folder.undo_upload(path("a"))
    assert read(folder, "a") == b"by code"


@pytest.mark.parametrize("where", [".glovebox", ".glovebox/replaced"])
@pytest.mark.parametrize("thing", ["link", "file"])
def test_a_sandbox_that_is_in_the_way_stops_no_upload_and_leads_nowhere(
    folder: SessionFolder, canary: Path, where: str, thing: str
) -> None:
    upload(folder, "a", b"one")
    target = inside(folder) / where
    target.parent.mkdir(exist_ok=True)
    if thing == "link":
        target.symlink_to(canary)
    else:
        target.write_text("")
    assert upload(folder, "a", b"two") is True
    assert read(folder, "a") == b"two"
    with pytest.raises(NothingToUndo):
        folder.undo_upload(path("a"))
        folder.undo_upload(path("a"))
    assert untouched(canary)


@pytest.mark.parametrize("thing", ["gone", "link", "folder"])
def test_what_a_sandbox_makes_of_what_was_kept_leads_nowhere(folder: SessionFolder, canary: Path, thing: str) -> None:
    upload(folder, "a", b"one")
    upload(folder, "a", b"two")
    (name,) = kept(folder)
    target = inside(folder) / ".glovebox/replaced" / name
    target.unlink()
    if thing == "link":
        target.symlink_to(canary / "secret")
    elif thing == "folder":
        target.mkdir()
    with suppress(NothingToUndo, BadPath):
        folder.undo_upload(path("a"))
    with suppress(FileMissing):
        assert read(folder, "a") == b"two"
    upload(folder, "a", b"three")
    assert read(folder, "a") == b"three"
    assert untouched(canary)


def test_undo_through_a_linked_folder_is_refused(folder: SessionFolder, canary: Path) -> None:
    upload(folder, "d/secret", b"one")
    os.unlink(inside(folder) / "d/secret")
    os.rmdir(inside(folder) / "d")
    (inside(folder) / "d").symlink_to(canary)
    with pytest.raises(BadPath):
        folder.undo_upload(path("d/secret"))
    assert untouched(canary)


def test_an_undo_of_nothing_makes_no_folders(folder: SessionFolder) -> None:
    with pytest.raises(NothingToUndo):
        folder.undo_upload(path("d/e/a"))
    assert os.listdir(inside(folder)) == []


@pytest.mark.parametrize("content", ["", "[", "{}", "[1]", '[{"path": 1}]', "null"])
def test_a_list_that_a_power_cut_spoilt_is_an_empty_one(folder: SessionFolder, content: str) -> None:
    (folder.root / "uploads.json").write_text(content)
    upload(folder, "a", b"one")
    upload(folder, "a", b"two")
    folder.undo_upload(path("a"))
    assert read(folder, "a") == b"one"


def test_an_upload_that_fails_leaves_what_was_there_and_its_undo(folder: SessionFolder) -> None:
    upload(folder, "a", b"one")
    upload(folder, "a", b"two")
    (inside(folder) / "d").mkdir()
    with pytest.raises(BadPath):
        upload(folder, "d", b"x")
    assert [entry["path"] for entry in json.loads((folder.root / "uploads.json").read_text())] == ["a", "a"]
    folder.undo_upload(path("a"))
    assert read(folder, "a") == b"one"


def test_an_upload_that_cannot_land_leaves_nothing_of_its_undo(
    folder: SessionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, "a", b"one")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "no room")

    with monkeypatch.context() as patched, pytest.raises(DiskFull):
        patched.setattr(os, "rename", full)
        upload(folder, "a", b"two")
    assert (read(folder, "a"), kept(folder)) == (b"one", [])
    folder.undo_upload(path("a"))
    assert listed(folder) == []


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "undo", "rename", "delete"]), st.sampled_from("ab"), st.integers(0, 99)),
    max_size=30,
)


@settings(max_examples=60)
@given(OPERATIONS)
def test_any_order_of_uploads_and_undos_is_what_a_model_of_it_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    folder = made(tmp_path_factory.mktemp("session"))
    now: dict[str, bytes] = {}
    log: list[tuple[str, bytes | None]] = []
    for action, name, number in steps:
        other = "b" if name == "a" else "a"
        content = b"%d" % number
        if action == "put":
            assert upload(folder, name, content) is (name in now)
            log = [*log, (name, now.get(name))][-UNDO_UPLOADS:]
            now[name] = content
        elif action == "rename":
            with suppress(Conflict, FileMissing):
                folder.rename(path(name), path(other))
                assert name in now
                assert other not in now
                now[other] = now.pop(name)
                log = [(other if at == name else at, was) for at, was in log]
        elif action == "delete":
            with suppress(FileMissing):
                folder.delete_all(path(name))
                del now[name]
        else:
            mine = [entry for entry in log if entry[0] == name]
            if not mine:
                with pytest.raises(NothingToUndo):
                    folder.undo_upload(path(name))
                continue
            log.remove(mine[-1]) if log.count(mine[-1]) == 1 else log.pop(len(log) - 1 - log[::-1].index(mine[-1]))
            with suppress(NothingToUndo):
                folder.undo_upload(path(name))
            if mine[-1][1] is not None:
                now[name] = mine[-1][1]
            elif name in now and name not in listed(folder):
                del now[name]
        assert {one: read(folder, one) for one in listed(folder)} == now
    assert len(kept(folder)) == sum(was is not None for _, was in log)


def test_a_file_and_a_folder_get_another_name(folder: SessionFolder) -> None:
    upload(folder, "a", b"one")
    assert folder.rename(path("a"), path("d/e/b")).path == "d/e/b"
    assert folder.rename(path("d"), path("f")).size == 0
    assert listed(folder) == ["f/e/b"]
    upload(folder, "f/e/b", b"two")
    folder.undo_upload(path("f/e/b"))
    assert read(folder, "f/e/b") == b"one"
    folder.undo_upload(path("f/e/b"))  # the upload to `a`, which is here now
    assert listed(folder) == []


@pytest.mark.parametrize("to", ["b", "d", "a", "link", "dangling"])
def test_nothing_is_ever_renamed_onto_something(folder: SessionFolder, canary: Path, to: str) -> None:
    upload(folder, "a", b"one")
    upload(folder, "b", b"other")
    (inside(folder) / "d").mkdir()
    (inside(folder) / "link").symlink_to(canary / "secret")
    (inside(folder) / "dangling").symlink_to("nowhere")
    with pytest.raises(Conflict) as raised:
        folder.rename(path("a"), path(to))
    assert raised.value.code == "file_exists"
    assert (read(folder, "a"), read(folder, "b")) == (b"one", b"other")
    assert untouched(canary)


@pytest.mark.parametrize("name", ["missing", "link", "fifo", "linked/secret", ".glovebox", ".glovebox/replaced", "a/b"])
def test_what_is_no_file_is_not_renamed(folder: SessionFolder, canary: Path, name: str) -> None:
    upload(folder, "a", b"one")
    upload(folder, "a", b"two")
    (inside(folder) / "link").symlink_to(canary / "secret")
    (inside(folder) / "linked").symlink_to(canary)
    os.mkfifo(inside(folder) / "fifo")
    with pytest.raises(FileMissing):
        folder.rename(path(name), path("new"))
    assert untouched(canary)


@pytest.mark.parametrize(("name", "to"), [("a", "b/c"), ("a", "linked/c"), ("d", "d/e/f")])
def test_a_name_that_cannot_be_is_told(folder: SessionFolder, canary: Path, name: str, to: str) -> None:
    upload(folder, "a", b"one")
    upload(folder, "b", b"a file")
    upload(folder, "d/x", b"")
    (inside(folder) / "linked").symlink_to(canary)
    with pytest.raises(BadPath):
        folder.rename(path(name), path(to))
    assert untouched(canary)
    assert {"a", "b", "d/x"} == set(listed(folder))


def test_a_folder_goes_with_what_is_in_it_and_no_link_is_followed(folder: SessionFolder, canary: Path) -> None:
    upload(folder, "d/e/a", b"x")
    upload(folder, "other", b"x")
    (inside(folder) / "d/link").symlink_to(canary)
    (inside(folder) / "d/e/link").symlink_to(canary / "secret")
    os.mkfifo(inside(folder) / "d/fifo")
    folder.delete_all(path("d"))
    assert sorted(os.listdir(inside(folder))) == ["other"]
    folder.delete_all(path("other"))
    with pytest.raises(FileMissing):
        folder.delete_all(path("other"))
    assert untouched(canary)


@pytest.mark.parametrize("name", [".glovebox", ".python"])
def test_what_glovebox_keeps_is_not_deleted_as_a_whole(folder: SessionFolder, name: str) -> None:
    (inside(folder) / name).mkdir()
    (inside(folder) / name / "a").write_text("x")
    with pytest.raises(BadPath):
        folder.delete_all(path(name))
    assert (inside(folder) / name / "a").exists()


def test_a_link_to_a_folder_goes_and_the_folder_stays(folder: SessionFolder, canary: Path) -> None:
    (inside(folder) / "link").symlink_to(canary)
    folder.delete_all(path("link"))
    with pytest.raises(FileMissing):
        folder.delete_all(path("link/secret"))
    assert os.listdir(inside(folder)) == []
    assert untouched(canary)


def deep(folder: SessionFolder, levels: int) -> None:
    below = os.open(inside(folder), os.O_RDONLY)
    for number in range(levels):
        os.mkdir("d", dir_fd=below)
        below, above = os.open("d", os.O_RDONLY, dir_fd=below), below
        os.close(above)
        os.close(os.open(f"file{number}", os.O_CREAT | os.O_WRONLY, dir_fd=below))
    os.close(below)


def test_a_tree_2000_deep_is_deleted(folder: SessionFolder) -> None:
    deep(folder, 2000)
    folder.delete_all(path("d"))
    assert os.listdir(inside(folder)) == []


def test_more_than_one_call_deletes_is_said_and_the_next_call_goes_on(folder: SessionFolder) -> None:
    deep(folder, 30)
    top = os.open(inside(folder), os.O_RDONLY)
    assert remove_beneath("d", top, 20) is False
    while not remove_beneath("d", top, 20):
        pass
    os.close(top)
    assert os.listdir(inside(folder)) == []


def racing(folder: SessionFolder, canary: Path, swap: Callable[[Path], None], use: Callable[[], object]) -> None:
    """Use a folder while names in it are swapped without end."""
    done = threading.Event()

    def swapper() -> None:
        while not done.is_set():
            with suppress(OSError):
                swap(inside(folder))

    thread = threading.Thread(target=swapper)
    thread.start()
    try:
        for _ in range(300):
            with suppress(FileMissing, BadPath, Conflict, NothingToUndo):
                use()
    finally:
        done.set()
        thread.join()
    assert untouched(canary)


def swap_for_link(canary: Path) -> Callable[[Path], None]:
    def swap(workspace: Path) -> None:
        with suppress(FileExistsError):
            (workspace / "real").mkdir()
        (workspace / "real" / "secret").write_text("own")
        with suppress(FileExistsError):
            (workspace / "link").symlink_to(canary)
        for name in ("real", "link"):
            os.rename(workspace / name, workspace / "a")
            os.rename(workspace / "a", workspace / name)

    return swap


def test_no_swapped_name_leads_a_deletion_outside(folder: SessionFolder, canary: Path) -> None:
    racing(folder, canary, swap_for_link(canary), lambda: folder.delete_all(path("a")))


def test_no_swapped_name_leads_a_rename_outside(folder: SessionFolder, canary: Path) -> None:
    upload(folder, "file", b"x")

    def use() -> None:
        for one, other in (("a/secret", "taken"), ("file", "a/file"), ("a/file", "file")):
            with suppress(FileMissing, BadPath, Conflict):
                folder.rename(path(one), path(other))
        with suppress(FileMissing):
            folder.delete(path("taken"))

    racing(folder, canary, swap_for_link(canary), use)


def test_no_swapped_name_leads_an_undo_outside(folder: SessionFolder, canary: Path) -> None:
    def use() -> None:
        with suppress(BadPath):
            upload(folder, "a/secret", b"uploaded")
        folder.undo_upload(path("a/secret"))

    racing(folder, canary, swap_for_link(canary), use)
