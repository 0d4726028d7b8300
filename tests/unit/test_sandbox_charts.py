"""An Altair chart leaves the kernel as its specification, unless somebody chose otherwise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from sandbox_image.glovebox_charts import BASE, MODULES, bundle, show_specifications

SPEC = {"mark": "bar"}


class Renderers:
    active = "default"

    @contextmanager
    def enable(self, name: str) -> Iterator[None]:
        before, self.active = self.active, name
        yield
        self.active = before


class Chart:
    def _repr_mimebundle_(self, **_: Any) -> Any:
        named = sys.modules["altair"].renderers.active
        if named != "mimetype":
            return {"text/html": f"<script> of {named}"}
        return {"application/vnd.vegalite.v6.json": SPEC, "text/plain": "If you see this message …"}, {"about": 1}


@pytest.fixture
def renderers(monkeypatch: pytest.MonkeyPatch) -> Renderers:
    altair = ModuleType("altair")
    made = altair.__dict__["renderers"] = Renderers()
    monkeypatch.setitem(sys.modules, "altair", altair)
    return made


def test_a_chart_is_its_specification_with_a_text_that_alarms_nobody(renderers: Renderers) -> None:
    data, about = bundle(Chart())
    assert data == {"application/vnd.vegalite.v6.json": SPEC, "text/plain": "altair.Chart(…)"}
    assert (about, renderers.active) == ({"about": 1}, "default")


def test_a_renderer_that_was_chosen_counts(renderers: Renderers) -> None:
    renderers.active = "html"
    assert bundle(Chart()) == {"text/html": "<script> of html"}


def test_it_is_set_for_charts_by_their_name_so_that_nothing_is_imported_for_it() -> None:
    asked: list[tuple[str, str]] = []

    class Formatter:
        def for_type_by_name(self, module: str, name: str, act: Any) -> None:
            assert act is bundle
            asked.append((module, name))

    show_specifications(Formatter())
    assert asked == [(module, BASE) for module in MODULES]
