"""Looking at a workspace: in place where it is small and quick, in a thread where it is not. Both see the same."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.limits import GLANCE_ENTRIES, GLANCE_S, NO_GLANCE_S
from orchestrator.workspace.glances import Glances


@pytest.fixture
def looked_in(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each look at the folder, whether it was in the event loop's thread."""
    looked: list[bool] = []
    scan = Glances.scan

    def noting(glances: Glances, budget: list[int]) -> Iterator[object]:
        looked.append(threading.current_thread() is threading.main_thread())
        return scan(glances, budget)

    monkeypatch.setattr(Glances, "scan", noting)
    return looked


def fill(folder: Path, number: int) -> None:
    for one in range(number):
        (folder / f"{one:04}").write_text("x")


async def test_a_small_workspace_is_looked_at_in_place(tmp_path: Path, looked_in: list[bool]) -> None:
    fill(tmp_path, 3)
    files, usage = await Glances(tmp_path, hard=False).files_and_usage()
    assert sorted(files) == ["0000", "0001", "0002"]
    assert usage is not None
    assert usage.entries == 3
    assert looked_in == [True]


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_large_workspace_is_looked_at_in_a_thread(
    tmp_path: Path, looked_in: list[bool], *, hidden: bool
) -> None:
    where = tmp_path / ".glovebox" if hidden else tmp_path
    where.mkdir(exist_ok=True)
    fill(where, GLANCE_ENTRIES + 1)
    files, usage = await Glances(tmp_path, hard=False).files_and_usage()
    assert len(files) == (0 if hidden else GLANCE_ENTRIES + 1)
    assert usage is not None
    assert usage.entries >= GLANCE_ENTRIES + 1
    assert looked_in[-1] is False


async def test_a_hard_disk_is_looked_at_in_a_thread(tmp_path: Path, looked_in: list[bool]) -> None:
    fill(tmp_path, 1)
    assert sorted(await Glances(tmp_path, hard=True).files()) == ["0000"]
    assert looked_in == [False]


async def test_a_slow_workspace_is_left_to_a_thread_for_a_while(tmp_path: Path, looked_in: list[bool]) -> None:
    fill(tmp_path, 1)
    times = iter([0.0, GLANCE_S * 2, GLANCE_S * 2, 1.0, NO_GLANCE_S * 2, NO_GLANCE_S * 2])
    glances = Glances(tmp_path, hard=False, clock=lambda: next(times))
    for _ in range(3):
        assert sorted(await glances.files()) == ["0000"]
    assert looked_in == [True, False, True]


async def test_no_workspace_is_an_empty_one(tmp_path: Path) -> None:
    files, usage = await Glances(tmp_path / "missing", hard=False).files_and_usage()
    assert files == {}
    assert usage is not None
    assert usage.disk_bytes == 0
