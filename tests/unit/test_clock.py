"""A clock that jumps: what lasts is measured by a clock that nobody can set; only what has a date goes by the wall."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.errors import Unauthorized
from orchestrator.people.service import People
from orchestrator.sessions.cell import ran_s
from orchestrator.store import people as people_store
from orchestrator.store.database import Database
from orchestrator.store.people import PeopleStore
from orchestrator.store.sessions import SessionStore

# Who may look at the clock on the wall, and what for. Idle times, limits of cells, patience, paces, waits and the times
# of metrics are none of it.
DATED = {
    "api/admin.py": "for how long a cell has run, as it is shown",
    "api/files.py": "when a file was changed, as it is shown",
    "chat/patience.py": "a date until which a provider asks to wait, and waiting has an end of its own",
    "chat/service.py": "when a message was written",
    "chat/usage.py": "the day that a quota is for",
    "demo_model/server.py": "when a reply was made, which nobody reads",
    "notebook/intake.py": "when a notebook was imported",
    "people/service.py": "when a login or a token was made, and the day on which a login ends",
    "sessions/cell.py": "a cell that an earlier process began",
    "sessions/session.py": "when a cell was asked for",
}


def test_whatever_lasts_is_measured_by_a_clock_that_nobody_can_set(root: Path) -> None:
    wall = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(")
    sources = [path for path in (root / "orchestrator").rglob("*.py") if "migrations" not in path.parts]
    found = {str(path.relative_to(root / "orchestrator")) for path in sources if wall.search(path.read_text())}
    # A new name here is to be thought about: may its clock be set while it is measured?
    assert {path for path in found if not path.startswith("store/")} <= DATED.keys()  # rows have dates


async def test_a_clock_that_is_put_back_or_on_ends_no_login_before_its_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(PeopleStore(database))
    await people.add("ann", "member", "a good long password")
    _, login = await people.sign_in("ann", "a good long password", "::1", "")
    for step in (timedelta(hours=-5), timedelta(days=-400), timedelta(days=13)):
        monkeypatch.setattr(people_store, "_now", lambda step=step: (datetime.now(UTC) + step).replace(tzinfo=None))
        assert (await people.identify(login)).person.name == "ann"
    monkeypatch.setattr(people_store, "_now", lambda: (datetime.now(UTC) + timedelta(days=15)).replace(tzinfo=None))
    with pytest.raises(Unauthorized):
        await people.identify(login)


async def test_sessions_that_were_used_before_the_clock_was_put_back_are_all_listed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SessionStore(database)
    made = [await store.add("ann", "before", "standard")]
    past = datetime(2001, 1, 1)  # noqa: DTZ001 - as the database keeps it
    monkeypatch.setattr("orchestrator.store.sessions._now", lambda: past)
    made.append(await store.add("ann", "after", "standard"))
    await store.touch(made[0].id)
    assert {one.id for one in await store.list("ann")} == {one.id for one in made}
    assert (await store.get("ann", made[0].id)).last_active_at == past.replace(tzinfo=UTC)


@pytest.mark.parametrize(("step_s", "expected"), [(0, 10), (-3600, 0), (3600, 3610)])
def test_a_cell_that_is_taken_up_has_run_for_no_less_than_nothing(step_s: float, expected: float) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    assert ran_s(began, began + timedelta(seconds=10 + step_s)) == expected
