"""Counters: what is shown is Prometheus' text, and no sender can make a label take ever more values."""

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.metrics import CELLS, REFUSALS, Tally, exposition


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
