"""Which refusals are written down, by whom, and that a flood of one kind hides no other."""

from typing import Any

import pytest

from orchestrator.api import refusals
from orchestrator.api.refusals import Refusals
from orchestrator.limits import REFUSALS_NOTED_BURST, REFUSALS_NOTED_PER_S
from orchestrator.metrics import AUDIT_LOST
from orchestrator.store.audit import ANONYMOUS, AuditEntry


class Kept:
    """Stands in for the audit log."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def note(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    return now


def entry(user: str = ANONYMOUS) -> AuditEntry:
    return AuditEntry(user, "request", "denied", "GET /")


def noting() -> tuple[Kept, Refusals]:
    kept: Any = Kept()
    return kept, Refusals(kept)


def test_of_a_flood_a_burst_is_written_down_and_the_rest_is_counted(clock: list[float]) -> None:
    kept, made = noting()
    before = AUDIT_LOST.read("flood")
    for _ in range(REFUSALS_NOTED_BURST + 1000):
        made.note(entry(), "unauthorized")
    assert len(kept.entries) == REFUSALS_NOTED_BURST
    assert AUDIT_LOST.read("flood") - before == 1000
    clock[0] += 3.5 / REFUSALS_NOTED_PER_S
    for _ in range(1000):
        made.note(entry(), "unauthorized")
    assert len(kept.entries) == REFUSALS_NOTED_BURST + 3


def test_a_flood_hides_neither_another_kind_nor_another_user(clock: list[float]) -> None:
    kept, made = noting()
    for _ in range(1000):
        made.note(entry(), "unauthorized")
    made.note(entry(), "wrong_host")
    made.note(entry("ann"), "disk_full")
    assert len(kept.entries) == REFUSALS_NOTED_BURST + 2


@pytest.mark.parametrize("code", ["session_not_found", "bad_request", "turn_running", "internal_error"])
def test_what_is_no_policy_is_not_written_down(code: str) -> None:
    kept, made = noting()
    made.note(entry("ann"), code)
    assert kept.entries == []
