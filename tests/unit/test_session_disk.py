"""The two kinds of a session's disk, with a disks service that only notes what it is asked."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.disks.requests import Opened
from orchestrator.disks_client import DisksClient
from orchestrator.errors import SandboxUnavailable, SessionNotFound
from orchestrator.sessions.disk import HardDisk, SessionDisk, WatchedDisk
from orchestrator.workspace.folder import SessionFolder

ID = "0123456789abcdef" * 2


class NotedDisks(DisksClient):
    """Makes the folders of a disk, as if it were mounted."""

    def __init__(self, folder: SessionFolder) -> None:
        super().__init__(Path("/nowhere"))
        self.asked: list[str] = []
        self._folder = folder

    async def open(self, session_id: str, profile: str, uid: int) -> Opened:
        self.asked.append("open")
        await asyncio.sleep(0.01)
        (self._folder.root / "disk" / "incoming").mkdir(parents=True, exist_ok=True)
        return Opened(new=True)

    async def close(self, session_id: str) -> None:
        self.asked.append("close")
        raise SandboxUnavailable("in use", code="disk_busy")

    async def delete(self, session_id: str) -> None:
        self.asked.append("delete")


class Stage:
    """A session's folder, its disk of either kind, and the service."""

    def __init__(self, root: Path, *, hard: bool) -> None:
        self.folder = SessionFolder(root, 0, 2**20, hard=hard)
        self.disks = NotedDisks(self.folder)
        self.disk: SessionDisk = (
            HardDisk(ID, "standard", self.folder, self.disks) if hard else WatchedDisk(ID, self.folder, self.disks)
        )


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: (path / "incoming").exists())


async def test_a_profile_that_changes_its_kind_of_disk_hides_no_files(tmp_path: Path, mounted: None) -> None:
    for hard in (True, False):
        before, after = Stage(tmp_path / str(hard), hard=hard), Stage(tmp_path / str(hard), hard=not hard)
        await before.disk.open(make=True)
        for make in (True, False):
            with pytest.raises(SandboxUnavailable, match="profile of another name") as refused:
                await after.disk.open(make=make)
            assert refused.value.code == "disk_unavailable"
        assert "open" not in after.disks.asked
        await after.disk.delete()
        assert after.disks.asked == (["delete"] if hard else [])


async def test_looking_makes_no_disk_and_one_that_was_made_is_opened(tmp_path: Path, mounted: None) -> None:
    stage = Stage(tmp_path / "s", hard=True)
    await stage.disk.open(make=False)
    await stage.disk.delete()
    assert stage.disks.asked == []
    stage = Stage(tmp_path / "s", hard=True)
    (tmp_path / "s" / "disk").mkdir(parents=True)
    await stage.disk.open(make=False)
    assert stage.disks.asked == ["open"]


async def test_many_users_at_once_ask_once_and_half_uploads_go(tmp_path: Path, mounted: None) -> None:
    stage = Stage(tmp_path / "s", hard=True)
    await asyncio.gather(*(stage.disk.open(make=True) for _ in range(5)))
    assert stage.disks.asked == ["open"]


async def test_a_disk_that_is_not_seen_here_is_no_disk(tmp_path: Path) -> None:
    """In a container without the mount's propagation the folder beneath it would be written to."""
    stage = Stage(tmp_path / "s", hard=True)
    with pytest.raises(SandboxUnavailable, match="does not see it") as refused:
        await stage.disk.open(make=True)
    assert refused.value.code == "disk_unavailable"


async def test_a_disk_is_closed_only_when_it_was_not_used_for_a_while(tmp_path: Path, mounted: None) -> None:
    stage = Stage(tmp_path / "s", hard=True)
    await stage.disk.close_if_unused(0)
    await stage.disk.open(make=True)
    await stage.disk.close_if_unused(60)
    assert stage.disks.asked == ["open"]
    await stage.disk.close_if_unused(-1)  # it is in use, which is not an error
    assert stage.disks.asked == ["open", "close"]


@pytest.mark.parametrize("hard", [True, False])
async def test_a_deleted_session_is_not_made_again(tmp_path: Path, mounted: None, hard: bool) -> None:
    """Seen to fail: a cell that waited made the folder anew."""
    stage = Stage(tmp_path / "s", hard=hard)
    await stage.disk.delete()
    with pytest.raises(SessionNotFound):
        await stage.disk.open(make=True)
    assert not (tmp_path / "s").exists()
