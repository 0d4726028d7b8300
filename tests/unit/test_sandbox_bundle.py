"""Modules from the bundle are what they would be from their files."""

import sys
from collections.abc import Iterator
from importlib import import_module, reload
from importlib.resources import files
from pathlib import Path

import pytest

from sandbox_image.glovebox_bundle import bundled, write


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"bundled_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("from .below import where\n")
    (tmp_path / name / "below.py").write_text("import sys\n\n\ndef where():\n    return __file__\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    forget(name)


def forget(name: str) -> None:
    for module in (name, f"{name}.below"):
        sys.modules.pop(module, None)


def test_a_module_from_the_bundle_knows_its_file_and_package(package: str, tmp_path: Path) -> None:
    plain = import_module(package)
    write(tmp_path / "bundle", [plain, sys.modules[f"{package}.below"], sys, import_module("math")])
    forget(package)
    (tmp_path / package / "below.py").write_text("what is on disk is not looked at")
    before = list(sys.meta_path)
    with bundled(tmp_path / "bundle"):
        module = import_module(package)
    assert sys.meta_path == before
    assert module.where() == plain.where() == str(tmp_path / package / "below.py")
    for name in ("__file__", "__path__", "__package__", "__cached__", "__name__"):
        assert getattr(module, name) == getattr(plain, name)
    assert (files(package) / "below.py").is_file()
    (tmp_path / package / "below.py").write_text("where = 'new'")
    assert reload(sys.modules[f"{package}.below"]).where == "new"


def test_without_a_bundle_modules_come_from_their_files(package: str, tmp_path: Path) -> None:
    with bundled(tmp_path / "no bundle"):
        assert import_module(package).where() == str(tmp_path / package / "below.py")
