"""Rows that are remembered: what may be out of date never is."""

import pytest

from orchestrator.store.database import Database
from orchestrator.store.remembered import Remembered
from orchestrator.store.settings import SettingsStore


def test_a_row_is_known_until_it_changes() -> None:
    rows = Remembered[str]()
    rows.keep("a", "one", rows.writes)
    rows.keep("b", "two", rows.writes)
    assert (rows.get("a"), rows.get("b"), rows.get("c")) == ("one", "two", None)
    with rows.changing("a"):
        assert rows.get("a") == "one", "not written yet"
    assert (rows.get("a"), rows.get("b")) == (None, "two")


def test_what_was_read_beside_a_change_is_not_kept() -> None:
    rows = Remembered[str]()
    writes = rows.writes
    with rows.changing("a"):
        pass
    rows.keep("a", "old", writes)
    assert rows.get("a") is None


def test_a_change_that_may_or_may_not_have_come_to_pass_forgets() -> None:
    rows = Remembered[str]()
    rows.keep("a", "old", rows.writes)
    with pytest.raises(OSError, match="away"), rows.changing("a"):
        raise OSError("away")
    assert rows.get("a") is None


def test_they_are_never_too_many() -> None:
    rows = Remembered[int]()
    for number in range(2500):
        rows.keep(str(number), number, rows.writes)
    assert sum(rows.get(str(number)) is not None for number in range(2500)) <= 1000
    assert rows.get("2499") == 2499


async def test_settings_are_read_again_when_they_change(database: Database) -> None:
    settings = SettingsStore(database)
    assert (await settings.of("ann")).theme == "system"
    await settings.change("ann", {"theme": "dark"})
    assert (await settings.of("ann")).theme == (await settings.of("ann")).theme == "dark"
    assert (await settings.of("bob")).theme == "system"
