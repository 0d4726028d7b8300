"""The bench's own arithmetic and words, and a peer that fails in every way: no measurement is made here."""

import json
import sys
from pathlib import Path

import pytest

from bench.against_peers import compare
from bench.errors import PeerFailed
from bench.figures import Bound, Comparison, NotMeasured, percentile
from bench.peer_process import PeerProcess, running_peer
from bench.peers.catalogue import CATALOGUE, About
from bench.peers.shape import Settings
from bench.report import as_json, as_table
from bench.subjects import NAMES, PEERS, SUBJECTS, by_profile, chosen

SETTINGS = Settings("image", "gateway", "label", "value", 1.0, 512)


def comparison(bound: Bound | None, ours: float, other: float | None) -> Comparison:
    return Comparison("name", "ms", [ours], [] if other is None else [other], bound)


@pytest.mark.parametrize(
    ("bound", "ours", "other", "broken"),
    [
        (None, 100, 1, False),
        (Bound("times", 2), 4, 2, False),
        (Bound("times", 2), 4.1, 2, True),
        (Bound("quicker", 10), 5, 50, False),
        (Bound("quicker", 10), 5.1, 50, True),
        (Bound("at_most", 25), 25, None, False),
        (Bound("at_most", 25), 25.1, None, True),
        (Bound("p95_at_most", 20), 20, None, False),
        (Bound("p95_at_most", 20), 20.1, None, True),
        (Bound("quicker", 10), 5, None, True),  # there is nobody to be quicker than: it was not shown
    ],
)
def test_a_bound_is_kept_or_broken(bound: Bound | None, ours: float, other: float | None, broken: bool) -> None:
    assert comparison(bound, ours, other).broken == broken


def test_percentiles_lie_between_samples() -> None:
    assert (percentile([3, 1, 2], 50), percentile([0, 10], 95)) == (2, 9.5)
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_the_bound_is_for_the_quickest_of_those_that_promise_the_same() -> None:
    fresh = [one.name for one in CATALOGUE]
    first = {"glovebox": [10.0]} | {name: [100.0 + number] for number, name in enumerate(fresh)}
    further = {"glovebox": [5.0]} | {name: [50.0 + number] for number, name in enumerate(fresh)}
    failed = {"kernel gateway": "no such image"}
    rows = compare(first, further, {**failed})
    asked = [(row.name, row.who) for row in rows if isinstance(row, Comparison) and row.bound is not None]
    # A peer that keeps no variables does less for each further cell: it is shown, and nothing is asked against it.
    assert asked == [("warm_first_cell", "llm-sandbox session"), ("cell_round_trip", "llm-sandbox interactive")]
    assert [row.who for row in rows if isinstance(row, NotMeasured)] == ["kernel gateway"]


def test_table_and_json_say_what_was_missed_and_what_is_missing() -> None:
    measured = [
        comparison(Bound("times", 2), 4.1, 2),
        comparison(Bound("at_most", 25), 20, None),
        NotMeasured("wake_up", "glovebox", "the variables were not kept"),
    ]
    table = as_table({"cores": 2}, measured)
    assert "2.05x" in table
    assert "missed" in table
    assert "kept" in table
    assert table.splitlines()[-1] == "wake_up: glovebox not measured: the variables were not kept"
    written = json.loads(json.dumps(as_json({"cores": 2}, measured)))
    assert [(row["kept"], row["asked"]) for row in written["comparisons"]] == [(False, "<= 2x"), (True, "<= 25")]
    assert [row["who"] for row in written["results"]] == ["glovebox", "floor", "glovebox"]
    assert written["not_measured"][0]["name"] == "wake_up"


def test_what_is_measured_by_default_needs_no_peers_and_no_network() -> None:
    assert PEERS not in chosen((), peers=False)
    assert chosen((), peers=True) == list(SUBJECTS)
    assert [subject.names for subject in chosen(("upload_1g",), peers=False)] == [
        ("upload_1g", "download_1g", "orchestrator_rss")
    ]
    assert len(set(NAMES)) == len(NAMES)
    assert sum(len(group) for group in by_profile(SUBJECTS)) == len(SUBJECTS)


def peer(tmp_path: Path, code: str) -> "tuple[About, Path]":
    """Return a peer whose process is this Python code instead of the real one."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport json, sys\n{code}")
    script.chmod(0o755)
    return CATALOGUE[0], script


def test_a_peer_is_timed_by_itself_and_its_result_is_checked(tmp_path: Path) -> None:
    answers = 'print(json.dumps({"ready": True}), flush=True)\nfor line in sys.stdin:\n'
    answers += '    print(json.dumps({"seconds": 0.5, "text": "2\\n"}), flush=True)\n'
    about, python = peer(tmp_path, answers)
    with running_peer(python, about, SETTINGS, tmp_path / "log") as process:
        process.wait_until_ready()
        assert process.start("print(1 + 1)", "2") == 0.5
        with pytest.raises(PeerFailed, match="instead of '3'"):
            process.run("print(1 + 2)", "3")
        process.close()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('print(json.dumps({"error": "no network"}))', "no network"),
        ("sys.exit(3)", "ended with 3"),
    ],
)
def test_a_peer_that_fails_says_why(tmp_path: Path, code: str, why: str) -> None:
    about, python = peer(tmp_path, code)
    with running_peer(python, about, SETTINGS, tmp_path / "log") as process, pytest.raises(PeerFailed, match=why):
        process.wait_until_ready()


def test_a_peer_that_says_nothing_is_not_waited_for_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.peer_process._ANSWER_S", 0.2)
    monkeypatch.setattr("bench.peer_process._READY_S", 0.2)
    about, python = peer(tmp_path, "sys.stdin.read()")
    with running_peer(python, about, SETTINGS, tmp_path / "log") as process:
        with pytest.raises(PeerFailed, match="no answer within"):
            process.wait_until_ready()
        with pytest.raises(PeerFailed, match="does not answer any more"):
            process.close()


def test_a_real_child_without_the_peer_installed_is_a_failed_peer(tmp_path: Path) -> None:
    about = next(one for one in CATALOGUE if one.name == "smolagents docker")
    with running_peer(Path(sys.executable), about, SETTINGS, tmp_path / "log") as process:
        assert isinstance(process, PeerProcess)
        with pytest.raises(PeerFailed, match="ModuleNotFoundError"):
            process.wait_until_ready()
