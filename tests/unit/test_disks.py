"""Hard disks on real images, loop devices and mounts, without containers; and what may be asked of the service."""

import errno
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.config import Profile
from orchestrator.disks import images, mounts, service
from orchestrator.disks.requests import REQUEST, Close, Delete, Disk, ListDisks, Open
from orchestrator.disks.service import Disks
from orchestrator.lines.messages import FIRST_UID, LAST_UID, Refused
from tests.hard_disks import loop_devices, mounted_beneath, unmount_beneath

ID, OTHER = "0123456789abcdef" * 2, "f" * 32
UID = 200_001
MIB = 2**20
GOOD: dict[str, Any] = {"verb": "open", "session_id": ID, "profile": "hard", "uid": UID}
PROFILES = {
    "hard": Profile(disk="hard", disk_mb=16),
    "larger": Profile(disk="hard", disk_mb=48),
    "plain": Profile(disk_mb=16),
}
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")


def parsed(**fields: Any) -> Any:
    return REQUEST.validate_json(json.dumps(fields))


def test_every_verb_is_known() -> None:
    assert parsed(**GOOD) == Open(session_id=ID, profile="hard", uid=UID)
    assert parsed(verb="close", session_id=ID) == Close(session_id=ID)
    assert parsed(verb="delete", session_id=ID) == Delete(session_id=ID)
    assert parsed(verb="list") == ListDisks()


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "mount"},
        {"path": "/etc"},
        {"disk_mb": 10**6},
        {"device": "/dev/sda"},
        {"options": "suid"},
        {"session_id": "../" * 10 + "aa"},
        {"session_id": ID.upper()},
        {"session_id": ID + "\n"},
        {"uid": 0},
        {"uid": FIRST_UID - 1},
        {"uid": LAST_UID + 1},
        {"uid": str(UID)},
        {"profile": "x" * 41},
    ],
)
def test_what_is_no_request_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**GOOD | wrong)


@given(st.integers(16, 64 * 1024 * 1024))
def test_an_image_is_a_little_larger_than_what_it_holds(disk_mb: int) -> None:
    size = images.image_bytes(disk_mb)
    assert size % MIB == 0
    assert disk_mb * MIB < size <= disk_mb * MIB * 1.06 + 8 * MIB
    assert images.inodes(disk_mb) * 16 * 1024 <= max(disk_mb, 16) * MIB
    assert 4 <= images.journal_mb(disk_mb) <= 16


def test_mountinfo_is_read_with_its_escapes() -> None:
    text = (
        "36 35 98:0 /mnt1 /data/a\\040b/disk rw,noatime master:1 - ext4 /dev/loop7 rw,errors=continue\n"
        "37 35 0:21 / /proc rw shared:5 master:3 - proc proc rw\n38 35 0:1 / /odd rw -\nrubbish\n\n"
    )
    assert mounts.parse(text) == [mounts.Mount("/data/a b/disk", "ext4"), mounts.Mount("/proc", "proc")]


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    for session_id in (ID, OTHER):
        (tmp_path / "sessions" / session_id).mkdir(parents=True)
    yield Disks(tmp_path, PROFILES)
    unmount_beneath(tmp_path)
    assert mounted_beneath(tmp_path) == loop_devices(tmp_path) == []


def top(tmp_path: Path, session_id: str = ID) -> Path:
    return tmp_path / "sessions" / session_id / "disk"


def image(tmp_path: Path, session_id: str = ID) -> Path:
    return tmp_path / "disks" / f"{session_id}.ext4"


def opened(disks: Disks, profile: str = "hard", session_id: str = ID) -> bool:
    found: bool = disks.answer(Open(session_id=session_id, profile=profile, uid=UID)).new
    return found


def fill(path: Path) -> int:
    """Write a file until the disk is full; return its size."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError) as full:
        while True:
            file.write(b"x" * 65536)
    assert full.value.errno == errno.ENOSPC
    return path.stat().st_size


@needs_root
def test_a_disk_is_made_mounted_found_closed_and_opened_with_its_files(disks: Disks, tmp_path: Path) -> None:
    assert opened(disks) is True
    assert opened(disks) is False
    assert top(tmp_path).is_mount()
    (workspace,) = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(tmp_path) in line]
    assert {"nosuid", "nodev"} <= set(workspace.split()[3].split(","))
    assert (top(tmp_path) / "workspace").stat().st_uid == UID
    assert (top(tmp_path) / "incoming").stat().st_uid == 0
    (top(tmp_path) / "workspace" / "a").write_text("kept")
    for _ in range(2):
        disks.answer(Close(session_id=ID))
        assert mounted_beneath(tmp_path) == loop_devices(tmp_path) == os.listdir(top(tmp_path)) == []
    assert opened(disks) is True
    assert (top(tmp_path) / "workspace" / "a").read_text() == "kept"


@needs_root
@pytest.mark.parametrize(("profile", "least"), [("hard", 16), ("larger", 48)])
def test_a_disk_holds_what_its_profile_says_and_no_more(disks: Disks, tmp_path: Path, profile: str, least: int) -> None:
    opened(disks, profile)
    assert least * MIB <= fill(top(tmp_path) / "workspace" / "big") <= (least + 4) * MIB
    made = 0
    (top(tmp_path) / "workspace" / "big").unlink()
    with pytest.raises(OSError, match="No space left"):
        for made in range(10**6):
            (top(tmp_path) / "workspace" / f"{made}").touch()
    assert made < images.inodes(least)
    assert image(tmp_path).stat().st_size == images.image_bytes(least)


@needs_root
def test_an_open_disk_is_reserved_and_a_closed_one_takes_what_is_on_it(disks: Disks, tmp_path: Path) -> None:
    opened(disks, "larger")
    assert image(tmp_path).stat().st_blocks * 512 >= images.image_bytes(48)
    (top(tmp_path) / "workspace" / "a").write_bytes(os.urandom(8 * MIB))
    (top(tmp_path) / "workspace" / "b").write_bytes(os.urandom(16 * MIB))
    (top(tmp_path) / "workspace" / "b").unlink()
    disks.answer(Close(session_id=ID))
    assert 8 * MIB < image(tmp_path).stat().st_blocks * 512 < 16 * MIB
    opened(disks, "larger")
    assert image(tmp_path).stat().st_blocks * 512 >= images.image_bytes(48)


@needs_root
def test_a_host_without_room_refuses_a_disk_and_is_not_filled(
    disks: Disks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "HOST_DISK_RESERVE_BYTES", 2**60)
    with pytest.raises(Refused, match="host's disk has no room") as refused:
        opened(disks)
    assert refused.value.refusal.code == "disk_unavailable"
    assert not top(tmp_path).is_mount()
    assert image(tmp_path).stat().st_blocks * 512 < 4 * MIB


@needs_root
def test_a_disk_in_use_is_not_closed_and_stays_reserved(disks: Disks, tmp_path: Path) -> None:
    opened(disks)
    with (top(tmp_path) / "workspace" / "a").open("w"):
        with pytest.raises(Refused) as refused:
            disks.answer(Close(session_id=ID))
        assert refused.value.refusal.code == "disk_busy"
        assert top(tmp_path).is_mount()
        assert image(tmp_path).stat().st_blocks * 512 >= images.image_bytes(16)
    disks.answer(Close(session_id=ID))


@needs_root
def test_a_deleted_disk_is_gone_but_for_those_who_read_it(disks: Disks, tmp_path: Path) -> None:
    opened(disks)
    (top(tmp_path) / "workspace" / "a").write_text("still read")
    with (top(tmp_path) / "workspace" / "a").open() as reader:
        disks.answer(Delete(session_id=ID))
        assert os.listdir(tmp_path / "disks") == mounted_beneath(tmp_path) == []
        assert reader.read() == "still read"
    disks.answer(Delete(session_id=ID))
    assert disks.answer(ListDisks()) == []


@needs_root
def test_what_another_mount_still_holds_is_mounted_again_and_not_twice(
    disks: Disks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox has a mount of its own: with a second loop device on one image, both would write over each other."""
    monkeypatch.setattr(service, "DISK_RELEASE_S", 0.1)
    opened(disks)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["mount", "--bind", top(tmp_path) / "workspace", elsewhere], check=True)
    with pytest.raises(Refused, match="mounted elsewhere"):
        disks.answer(Close(session_id=ID))
    assert not top(tmp_path).is_mount()
    assert opened(disks) is True
    (elsewhere / "a").write_text("seen")
    assert (top(tmp_path) / "workspace" / "a").read_text() == "seen"
    assert len(loop_devices(tmp_path)) == 1


@needs_root
def test_many_requests_at_once_mount_once(disks: Disks, tmp_path: Path) -> None:
    ready = threading.Barrier(8)

    def open_it(number: int) -> bool:
        ready.wait()
        return opened(disks, session_id=(ID, OTHER)[number % 2])

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(open_it, range(8))) == [False] * 6 + [True] * 2
    assert len(mounted_beneath(tmp_path)) == len(loop_devices(tmp_path)) == 2
    assert disks.answer(ListDisks()) == [Disk(session_id=one, mounted=True) for one in (ID, OTHER)]


@needs_root
def test_a_link_in_the_way_is_not_followed(disks: Disks, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    top(tmp_path).symlink_to(outside)
    (tmp_path / "sessions" / OTHER).rmdir()
    (tmp_path / "sessions" / OTHER).symlink_to(outside)
    for session_id in (ID, OTHER):
        with pytest.raises(Refused) as refused:
            opened(disks, session_id=session_id)
        assert refused.value.refusal.code == "disk_unavailable"
    assert mounted_beneath(tmp_path) == os.listdir(outside) == []


@needs_root
def test_a_disk_grows_with_its_profile_and_never_shrinks(disks: Disks, tmp_path: Path) -> None:
    opened(disks)
    (top(tmp_path) / "workspace" / "a").write_text("kept")
    disks.answer(Close(session_id=ID))
    for profile in ("larger", "hard"):
        opened(disks, profile)
        assert (top(tmp_path) / "workspace" / "a").read_text() == "kept"
        assert 46 * MIB <= fill(top(tmp_path) / "workspace" / "big") <= 52 * MIB
        (top(tmp_path) / "workspace" / "big").unlink()
        disks.answer(Close(session_id=ID))


@needs_root
def test_a_disk_that_was_cut_off_is_repaired_and_a_damaged_one_refused(disks: Disks, tmp_path: Path) -> None:
    opened(disks)
    (top(tmp_path) / "workspace" / "a").write_text("synced")
    os.sync()
    cut_off = image(tmp_path).read_bytes()  # as a power cut would leave it
    disks.answer(Close(session_id=ID))
    image(tmp_path).write_bytes(cut_off)
    opened(disks)
    assert (top(tmp_path) / "workspace" / "a").read_text() == "synced"
    disks.answer(Close(session_id=ID))
    image(tmp_path).write_bytes(os.urandom(8 * MIB))
    with pytest.raises(Refused, match="damaged") as refused:
        opened(disks)
    assert refused.value.refusal.code == "disk_unavailable"


def test_a_profile_without_a_hard_disk_gets_none(disks: Disks, tmp_path: Path) -> None:
    for profile in ("plain", "no-such"):
        with pytest.raises(Refused) as refused:
            opened(disks, profile)
        assert refused.value.refusal.code == "unknown_profile"
    assert os.listdir(tmp_path / "disks") == []


@needs_root
def test_a_half_made_image_is_never_used(disks: Disks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_TOOLS", {"PATH": "/nowhere"})
    with pytest.raises(Refused, match="cannot be prepared"):
        opened(disks)
    assert os.listdir(tmp_path / "disks") == []
    (tmp_path / "disks" / f"{OTHER}.new").write_text("half")
    Disks(tmp_path, PROFILES)
    assert os.listdir(tmp_path / "disks") == []


def test_nothing_is_made_in_the_empty_folder_beneath_a_mount(tmp_path: Path) -> None:
    (tmp_path / mounts.POINT).mkdir()
    with mounts.folder(tmp_path) as session, pytest.raises(OSError, match="not mounted"):
        mounts.give_folders(session, UID)
    assert os.listdir(tmp_path / mounts.POINT) == []
