"""How fast somebody may go on."""

from orchestrator.pace import Pace


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    pace = Pace(per_s=100, burst=1000, cost=0)
    assert pace.charge(1000, now=0) == 0
    assert pace.charge(100, now=0) == 1
    assert pace.charge(0, now=1) == 0
    assert pace.charge(50, now=1) == 0.5


def test_the_burst_fills_again_and_never_beyond_itself() -> None:
    pace = Pace(per_s=100, burst=1000, cost=0)
    pace.charge(1000, now=0)
    assert pace.charge(1000, now=1_000_000) == 0
    assert pace.charge(1, now=1_000_000) > 0


def test_many_tiny_messages_cost_too() -> None:
    pace = Pace(per_s=100, burst=1000, cost=10)
    waits = [pace.charge(0, now=0) for _ in range(101)]
    assert waits[99] == 0
    assert waits[100] > 0


def test_what_is_not_allowed_costs_nothing() -> None:
    pace = Pace(per_s=0.5, burst=2)
    assert [pace.allows(now=100) for _ in range(5)] == [True, True, False, False, False]
    assert [pace.allows(now=102) for _ in range(2)] == [True, False]
