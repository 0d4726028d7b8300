"""How much disk a workspace takes."""

import os
from pathlib import Path

import pytest

from orchestrator.limits import USAGE_DEPTH
from orchestrator.workspace import usage as usage_module
from orchestrator.workspace.usage import Usage, measure

MIB = 2**20


def measured(folder: Path) -> Usage:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return measure(descriptor)
    finally:
        os.close(descriptor)


def test_files_of_any_name_and_depth_are_counted(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / ".hidden\n").write_bytes(b"x" * MIB)
    (tmp_path / "plain").write_bytes(b"x" * MIB)
    found = measured(tmp_path)
    assert 2 * MIB <= found.disk_bytes < 2.2 * MIB
    assert found.whole


def test_a_sparse_file_counts_what_it_takes_and_a_hard_link_once(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "one").write_bytes(b"x" * MIB)
    os.link(tmp_path / "one", tmp_path / "other")
    assert MIB <= measured(tmp_path).disk_bytes < 1.1 * MIB


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * MIB)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    assert measured(inside).disk_bytes < MIB / 4


def test_too_deep_and_too_many_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    assert measured(tmp_path).whole
    monkeypatch.setattr(usage_module, "USAGE_ENTRIES", 2)
    assert not measured(tmp_path).whole
    monkeypatch.undo()
    (tmp_path / Path(*["d"] * USAGE_DEPTH)).mkdir(parents=True)
    assert not measured(tmp_path).whole


@pytest.mark.parametrize(
    ("now", "earlier", "outgrew"),
    [
        (Usage(10, 1, whole=True), Usage(0, 0, whole=True), False),
        (Usage(101, 1, whole=True), Usage(0, 0, whole=True), True),
        (Usage(150, 1, whole=True), Usage(150, 1, whole=True), False),  # over it already, and not growing
        (Usage(140, 1, whole=True), Usage(150, 1, whole=True), False),  # deleting
        (Usage(151, 1, whole=True), Usage(150, 1, whole=True), True),
        (Usage(10, 9, whole=False), Usage(0, 0, whole=True), True),
        (Usage(10, 9, whole=False), Usage(10, 9, whole=False), True),  # what cannot be counted is not allowed
    ],
)
def test_who_outgrew_a_limit_of_100(now: Usage, earlier: Usage, outgrew: bool) -> None:
    assert now.outgrew(earlier, 100) is outgrew
