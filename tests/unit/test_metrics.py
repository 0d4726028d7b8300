"""Counters: what is shown is Prometheus' text, and no sender can make a label take ever more values."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.chat.usage import cost, count, used_by
from orchestrator.config_models import Price
from orchestrator.metrics import CELLS, MODEL_COST, MODEL_TOKENS, REFUSALS, SPAWNER_TIMES, exposition
from orchestrator.tallies import Label, Tally, TallyByMany


def shown() -> dict[tuple[str, str], float]:
    """Return every sample by its name and its label's value."""
    text = exposition({"ready": 2, "asleep": 3}, {"standard": 1}).decode()
    families = list(text_string_to_metric_families(text))
    return {(one.name, next(iter(one.labels.values()), "")): one.value for f in families for one in f.samples}


def test_every_counter_is_shown_from_its_beginning() -> None:
    found = shown()
    for name, value in [
        ("glovebox_gateway_messages_dropped_total", ""),
        ("glovebox_gateway_violations_total", "protocol"),
        ("glovebox_egress_requests_total", "denied"),
        ("glovebox_egress_bytes_total", "up"),
        ("glovebox_cells_total", "out_of_memory"),
        ("glovebox_limits_hit_total", "time"),
        ("glovebox_audit_lost_total", "flood"),
        ("process_resident_memory_bytes", ""),
        ("process_cpu_seconds_total", ""),
    ]:
        assert (name, value) in found
    assert (found["glovebox_sessions", "ready"], found["glovebox_sessions", "asleep"]) == (2, 3)
    assert not any(name.startswith("python_") for name, _ in found)  # of the library's own registry


def test_what_is_counted_is_shown() -> None:
    before = CELLS.read("timeout")
    CELLS.count("timeout")
    CELLS.count("timeout", 2)
    assert CELLS.read("timeout") - before == 3 == shown()["glovebox_cells_total", "timeout"] - before


def test_a_value_that_nobody_named_is_counted_as_other() -> None:
    before = CELLS.read("other")
    CELLS.count("x" * 100_000)
    assert (CELLS.read("other") - before, CELLS.read("x" * 100_000)) == (1, 0)


def test_a_label_that_grows_ends_growing() -> None:
    tally = Tally("test_growing", "for this test", "code", grows=True)
    for number in range(1000):
        tally.count(f"code_{number}")
    values = [value for name, value in shown() if name == "test_growing_total"]
    assert len(values) <= 101
    assert (tally.read("code_0"), tally.read("code_999"), tally.read("other")) == (1, 0, 900)


def test_a_refusals_code_is_shown_with_its_number() -> None:
    before = REFUSALS.read("turn_running")
    REFUSALS.count("turn_running")
    assert shown()["glovebox_refusals_total", "turn_running"] - before == 1


def test_each_of_several_labels_ends_growing_by_itself() -> None:
    tally = TallyByMany("test_many", "for this test", Label("route", grows=True), Label("status", ("200",)))
    for number in range(1000):
        tally.count(f"/{number}", str(number))
    tally.count("/0", "200", amount=5)
    assert (tally.read("/0", "200"), tally.read("/0", "other"), tally.read("other", "other")) == (5, 1, 899)
    assert tally.read("/999", "other") == 0


def test_a_timing_counts_what_failed_as_well() -> None:
    number, seconds = SPAWNER_TIMES.read("create")
    with pytest.raises(ValueError, match="broken"), SPAWNER_TIMES.timed("create"):
        raise ValueError("broken")
    SPAWNER_TIMES.observe("create", 2.5)
    after, longer = SPAWNER_TIMES.read("create")
    assert after - number == 2
    assert 2.5 <= longer - seconds < 3.5


def test_tokens_and_their_cost_are_counted_by_model() -> None:
    price = Price(input=2, output=10, cached_input=1)
    before = MODEL_COST.read("m-1")
    count("m-1", used_by({"prompt_tokens": 1_000_000, "completion_tokens": 100_000}, price))
    assert (MODEL_TOKENS.read("m-1", "in"), MODEL_TOKENS.read("m-1", "out")) == (1_000_000, 100_000)
    assert MODEL_COST.read("m-1") - before == cost(1_000_000, 100_000, price) == 3
    count("m-2", used_by({"prompt_tokens": 7, "completion_tokens": 0}, None))
    assert (MODEL_TOKENS.read("m-2", "in"), MODEL_COST.read("m-2")) == (7, 0)


def test_what_a_provider_had_in_its_cache_costs_less() -> None:
    assert cost(1_000_000, 0, Price(input=2, output=10, cached_input=0.5), cached=400_000) == 1.4
    assert cost(1_000_000, 0, Price(input=2, output=10), cached=400_000) == 2
    assert cost(1_000_000, 0, Price(input=2, output=10, cached_input=1), cached=9_000_000) == 1  # nonsense
