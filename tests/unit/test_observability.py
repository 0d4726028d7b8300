"""The dashboard and the page of documentation speak of the metrics that there are, and of all of them."""

import json
import re
from pathlib import Path

import pytest

from orchestrator.metrics import exposition
from orchestrator.tallies import REGISTRY

DOCS = Path(__file__).resolve().parents[2] / "docs"
PANELS = [
    panel for panel in json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"] if panel["type"] != "row"
]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
FROM_PROMETHEUS = {"le", "instance", "job"}


def families() -> dict[str, str]:
    """Return each metric's type by its name, whether it has samples yet or not."""
    found = re.findall(r"^# TYPE (\S+) (\S+)$", exposition({}, {}).decode(), re.MULTILINE)
    return {name: kind for name, kind in found if not name.endswith("_created")}


def samples(name: str, kind: str) -> set[str]:
    """Return the names under which a metric is asked for."""
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}


def labels_of(name: str) -> set[str]:
    """Return a metric's labels, as it was declared."""
    base = re.sub("_(bucket|sum|count|total)$", "", name)
    declared = {
        family: set(getattr(collector, "_labelnames", ()))
        for collector, names in REGISTRY._collector_to_names.items()
        for family in names
    }
    return declared.get(base, set()) | declared.get(name, set())


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_each_metric_and_label_that_the_dashboard_asks_for_exists(title: str, query: str) -> None:
    known = {sample for name, kind in families().items() for sample in samples(name, kind)}
    asked = set(re.findall(r"\b(?:glovebox|process)_\w+", query))
    assert asked, title
    assert asked <= known
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.replace(" ", "").split(",")}
    selected = set(re.findall(r"(\w+)=~?\"", query))
    for metric in asked:
        assert (grouped | selected) - FROM_PROMETHEUS <= labels_of(metric)


def test_the_dashboard_leaves_nothing_out() -> None:
    asked = " ".join(query for _, query in QUERIES)
    missing = [name for name in families() if name.startswith("glovebox_") and name not in asked]
    assert missing == []


def test_every_metric_is_documented() -> None:
    written = set(re.findall(r"^\| `(glovebox_\w+)", (DOCS / "observability.md").read_text(), re.MULTILINE))
    # Tests make counters of their own.
    assert {name for name in families() if name.startswith("glovebox_")} == written


def test_panels_do_not_lie_on_each_other() -> None:
    taken = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(x < 24 for x, _ in taken)
