"""A workspace as one zip: read back by the standard library, and byte for byte what was there."""

import io
import itertools
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.workspace import archive
from orchestrator.workspace.archive import NOT_ALL, zipped
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import is_plain_name

UID = 200_001 if os.getuid() == 0 else os.getuid()
MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    return made(tmp_path / "s1")


def made(root: Path) -> SessionFolder:
    folder = SessionFolder(root, UID, 1024 * MIB)
    folder.make()
    return folder


def put(folder: SessionFolder, name: str, content: bytes) -> Path:
    target = folder.root / "workspace" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def unpacked(blocks: Iterator[bytes] | bytes) -> dict[str, bytes]:
    content = blocks if isinstance(blocks, bytes) else b"".join(blocks)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_an_empty_workspace_is_an_empty_zip(folder: SessionFolder) -> None:
    assert unpacked(zipped(folder)) == {}


def test_files_of_every_kind_come_back_as_they_were(folder: SessionFolder) -> None:
    files = {
        "empty.csv": b"",
        "d/名前 é.txt": "é数".encode(),
        "d/e/f.bin": os.urandom(3 * MIB),
        "packed.PNG": os.urandom(1000),
        "text.csv": b"a,b\n" * 500_000,
    }
    for name, content in files.items():
        put(folder, name, content)
    content = b"".join(zipped(folder))
    assert unpacked(content) == files
    assert len(content) < 3.2 * MIB  # text is packed
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert [info.filename for info in opened.infolist() if info.compress_type == zipfile.ZIP_STORED] == [
            "packed.PNG"
        ]
        assert {info.external_attr >> 16 for info in opened.infolist()} == {0o100644}


NAMES = st.text(min_size=1, max_size=40).filter(lambda name: is_plain_name(name) and "/" not in name)


@settings(max_examples=40)
@given(st.dictionaries(NAMES.filter(lambda name: name[1:2] != ":"), st.binary(max_size=200), max_size=8))
def test_any_names_that_can_be_listed_come_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = made(tmp_path_factory.mktemp("session"))
    for name, content in files.items():
        put(folder, name, content)
    listed = {file.path for file in folder.list_files()}
    assert unpacked(zipped(folder)) == {name: content for name, content in files.items() if name in listed}


def test_no_name_leads_out_of_where_it_is_unpacked(folder: SessionFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    put(folder, "C:/Windows/evil", b"x")
    put(folder, "..hidden", b"x")
    (folder.root / "workspace" / "link").symlink_to(outside)
    (folder.root / "workspace" / "back\\slash").write_bytes(b"x")
    put(folder, ".glovebox/replaced/1", b"x")
    put(folder, ".python/lib.py", b"x")
    os.mkfifo(folder.root / "workspace" / "pipe")
    assert list(unpacked(zipped(folder))) == ["..hidden", "C_/Windows/evil"]


def test_files_that_grow_shrink_and_go_away_meanwhile_do_not_break_it(folder: SessionFolder) -> None:
    for name in "abcd":
        put(folder, name, b"x" * (2 * MIB + 9))
    grows, shrinks, gone = (folder.root / "workspace" / name for name in "abc")
    blocks = zipped(folder)
    begun = []
    real = archive._read

    def read(descriptor: int, most: int) -> bytes:
        if not begun:
            begun.append(True)
            with grows.open("ab") as file:
                file.write(b"y" * 5 * MIB)
            os.truncate(shrinks, 100)
            gone.unlink()
        return real(descriptor, most)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archive, "_read", read)
        found = unpacked(blocks)
    assert {name: len(content) for name, content in found.items()} == {"a": 2 * MIB + 9, "b": 100, "d": 2 * MIB + 9}


def test_a_file_that_cannot_be_read_to_its_end_is_as_long_as_it_could_be(
    folder: SessionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a", b"x")
    put(folder, "b", b"y")

    def broken(_descriptor: int, _most: int) -> bytes:
        raise OSError(5, "no disk")

    monkeypatch.setattr(os, "read", broken)
    blocks = list(zipped(folder))
    monkeypatch.undo()
    assert unpacked(iter(blocks)) == {"a": b"", "b": b""}


def test_a_file_beyond_four_gigabytes_has_the_long_form(folder: SessionFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of the short form is set low: packing four gigabytes takes half a minute."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100_000)
    put(folder, "a.gz", os.urandom(300_000))
    put(folder, "b.csv", b"1,2\n" * 100_000)
    content = b"".join(zipped(folder))
    monkeypatch.undo()
    assert {name: len(found) for name, found in unpacked(content).items()} == {"a.gz": 300_000, "b.csv": 400_000}


def test_it_is_made_as_it_is_taken_with_little_in_memory(folder: SessionFolder) -> None:
    for number in range(20):
        put(folder, f"{number:02}.bin", os.urandom(4 * MIB))
    blocks = zipped(folder)
    first = list(itertools.islice(blocks, 5))
    later = folder.root / "workspace" / "19.bin"
    later.write_bytes(b"changed before it was its turn")
    rest = list(blocks)
    assert max(len(block) for block in (*first, *rest)) < 3 * MIB
    assert unpacked(iter([*first, *rest]))["19.bin"] == b"changed before it was its turn"


def test_whoever_goes_away_leaves_no_file_open(folder: SessionFolder) -> None:
    put(folder, "a.bin", os.urandom(8 * MIB))
    before = os.listdir("/proc/self/fd")
    blocks = zipped(folder)
    next(blocks)
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    blocks.close()  # type: ignore[attr-defined]
    assert os.listdir("/proc/self/fd") == before


def test_what_is_too_much_is_said(folder: SessionFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        put(folder, f"{number:02}", b"x")
    monkeypatch.setattr("orchestrator.workspace.folder.SCAN_ENTRIES", 30)
    assert NOT_ALL not in unpacked(zipped(folder))
    monkeypatch.setattr("orchestrator.workspace.folder.SCAN_ENTRIES", 10)
    found = unpacked(zipped(folder))
    assert len(found) == 11
    assert NOT_ALL in found


@pytest.mark.parametrize("seconds", [-1e10, 0, 1e9, 4e9, 1e11, 9e18])
def test_any_time_of_change_can_be_written(folder: SessionFolder, seconds: float) -> None:
    put(folder, "a", b"x")
    assert 1980 <= archive._zip_time(seconds)[0] <= 2107
    if abs(seconds) < 1e10:
        os.utime(folder.root / "workspace" / "a", (seconds, seconds))
    assert unpacked(zipped(folder)) == {"a": b"x"}
