"""What a load's notes become: percentiles by step, errors by kind, and refusals, which are no errors."""

import httpx2

from bench.load_figures import Tallied, UnexpectedAnswer


def test_a_load_without_errors_and_within_its_bound_is_as_asked() -> None:
    tallied = Tallied()
    for _ in range(200):
        tallied.took("1+1", 0.1)
    tallied.took("plot", 30)
    tallied.refused("session")
    assert tallied.kept()
    assert "refused (429): 1" in tallied.as_table()
    assert "kept" in tallied.as_table()


def test_a_slow_hundredth_is_too_much() -> None:
    tallied = Tallied()
    for _ in range(97):
        tallied.took("1+1", 0.01)
    for _ in range(3):
        tallied.took("1+1", 0.3)
    assert not tallied.kept()


def test_nothing_done_is_nothing_shown() -> None:
    assert not Tallied().kept()


def test_errors_are_counted_by_step_and_kind() -> None:
    tallied = Tallied()
    tallied.took("1+1", 0.1)
    for number in range(3):
        tallied.failed("upload", UnexpectedAnswer("507 disk_full"))
        tallied.failed("plot", httpx2.ReadTimeout(f"of the request number {number}"))
    assert not tallied.kept()
    assert tallied.as_json()["errors"] == [
        {"step": "upload", "kind": "507 disk_full", "n": 3},
        {"step": "plot", "kind": "ReadTimeout", "n": 3},
    ]
