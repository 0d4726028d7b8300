"""Imports that wait: nothing is missing once somebody asks for it."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from sandbox_image import glovebox_imports as imports

RUN: list[str] = []


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a package of two modules, each of which notes that its code was run."""
    name = f"waiting_{tmp_path.name}"
    (tmp_path / name).mkdir()
    note = "import tests.unit.test_sandbox_imports as here; here.RUN.append(__name__)\n__all__ = ['a']\na = 1\n"
    (tmp_path / name / "__init__.py").write_text(f"{note}from .below import b\n")
    (tmp_path / name / "below.py").write_text(f"{note}b = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    RUN.clear()
    yield name
    for module in (name, f"{name}.below"):
        sys.modules.pop(module, None)


def test_a_package_waits_until_it_is_asked_and_its_modules_do_not(package: str) -> None:
    imports.wait_with(package)
    module = import_module(package)
    assert import_module(f"{package}.below").b == 2
    assert [f"{package}.below"] == RUN
    assert (module.a, module.b, module.below.b) == (1, 2, 2)
    assert [f"{package}.below", package] == RUN
    assert type(module) is type(sys)
    with pytest.raises(AttributeError):
        _ = module.nothing


def test_a_star_asks_for_all_of_it(package: str) -> None:
    imports.wait_with(package)
    names: dict[str, int] = {}
    exec(f"from {package} import *", names)
    assert names["a"] == 1


def test_a_module_waits_and_the_package_above_it_is_not_imported_for_that(package: str) -> None:
    waiting = imports.wait_with(f"{package}.below")
    assert RUN == []
    assert waiting is not None
    assert waiting.b == 2
    assert [f"{package}.below"] == RUN


def test_what_is_nowhere_does_not_wait() -> None:
    assert imports.wait_with("no_such_module_anywhere") is None
    assert "no_such_module_anywhere" not in sys.modules


def test_others_stand_in_only_for_a_while(package: str) -> None:
    call = imports.on_call(f"{package}.below", "len")
    stands_in = imports.only(package, a=call)
    with imports.standing_in({package: stands_in, f"{package}.below": None}):
        assert import_module(package).a is call
        with pytest.raises(ImportError):
            import_module(f"{package}.below")
    assert import_module(package).a == 1
    (text,) = (imports.on_call("textwrap", "dedent")(" x"),)
    assert text == "x"
