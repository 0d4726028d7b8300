"""The audit log on a each real database: it only grows, never makes anybody wait, and what is lost is counted."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.exchange import EgressRecord
from orchestrator.errors import DatabaseUnavailable
from orchestrator.metrics import AUDIT_LOST, EGRESS_BYTES, EGRESS_REQUESTS
from orchestrator.sessions.egress_audit import egress_entry, told_of_egress
from orchestrator.store.audit import AuditEntry, AuditLog
from orchestrator.store.database import Database
from tests.unit.conftest import Ask

SESSION = "5" * 32


def entry(subject: str = "GET /", session_id: str | None = None) -> AuditEntry:
    return AuditEntry("ann", "request", "denied", subject, "why", session_id)


@pytest.fixture
async def audit(database: Database) -> AsyncIterator[AuditLog]:
    made = AuditLog(database)
    made.open()
    yield made
    await made.close()


def subjects(ask: Ask) -> list[str]:
    return [subject for (subject,) in ask("SELECT subject FROM audit ORDER BY id")]


async def test_an_entry_is_there_again_as_it_was_noted_the_newest_first(audit: AuditLog) -> None:
    first, second = entry("1"), entry("2", SESSION)
    audit.note(first)
    audit.note(second)
    assert await audit.recent(10) == [second, first]
    assert await audit.recent(1) == [second]
    assert await audit.recent(10, SESSION) == [second]
    assert await audit.recent(10, "6" * 32) == []


FORGERIES = {
    "sqlite": [
        "UPDATE audit SET user = 'bob'",
        "UPDATE OR REPLACE audit SET id = 2 WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "REPLACE INTO audit SELECT id, at, 'bob', session_id, action, decision, subject, detail FROM audit",
        "INSERT INTO audit SELECT * FROM audit WHERE true ON CONFLICT (id) DO UPDATE SET user = 'bob'",
    ],
    "postgresql": [
        "UPDATE audit SET \"user\" = 'bob'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "TRUNCATE audit",
        "INSERT INTO audit SELECT * FROM audit ON CONFLICT (id) DO UPDATE SET \"user\" = 'bob'",
        "MERGE INTO audit USING audit AS old ON audit.id = old.id WHEN MATCHED THEN DELETE",
    ],
}


async def test_what_was_written_can_neither_be_changed_nor_deleted(audit: AuditLog, database: Database) -> None:
    audit.note(entry("1"))
    audit.note(entry("2"))
    before = await audit.recent(10)
    for statement in FORGERIES[database.dialect]:
        with pytest.raises(Exception, match="append-only"):
            await database.transact(lambda connection, forged=statement: connection.exec_driver_sql(forged))
        assert await audit.recent(10) == before and len(before) == 2


async def test_noting_never_waits_for_the_database_and_closing_writes_what_waits(database: Database, ask: Ask) -> None:
    audit = AuditLog(database)
    audit.open()
    free = threading.Event()
    busy = asyncio.create_task(database.transact(lambda _: free.wait(30)))
    for number in range(1500):
        audit.note(entry(str(number)))
        await asyncio.sleep(0)  # the writer runs, and waits; this does not
    assert not busy.done()
    free.set()
    await audit.close()
    assert subjects(ask) == [str(number) for number in range(1500)]
    await busy


async def test_what_a_full_queue_does_not_take_is_counted(database: Database) -> None:
    audit = AuditLog(database, queue_entries=3)
    before = AUDIT_LOST.read("queue_full")
    for number in range(5):
        audit.note(entry(str(number)))
    assert AUDIT_LOST.read("queue_full") - before == 2
    assert [one.subject for one in await audit.recent(10)] == ["2", "1", "0"]
    audit.note(entry("there is room again"))
    assert len(await audit.recent(10)) == 4


async def test_what_cannot_be_written_waits_until_it_can(
    database: Database, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.audit.AUDIT_RETRY_S", 0.01)
    works, run_many = False, database.run_many
    tried = asyncio.Event()

    async def failing(statement: Any, rows: list[dict[str, Any]]) -> None:
        tried.set()
        if not works:
            raise DatabaseUnavailable("The disk is full.")
        await run_many(statement, rows)

    monkeypatch.setattr(database, "run_many", failing)
    audit = AuditLog(database)
    audit.open()
    audit.note(entry("patient"))
    await tried.wait()
    assert subjects(ask) == []
    works = True
    while not subjects(ask):
        await asyncio.sleep(0.01)
    works = False
    audit.note(entry("lost"))
    before = AUDIT_LOST.read("not_stored")
    await audit.close()
    assert AUDIT_LOST.read("not_stored") - before == 1
    assert subjects(ask) == ["patient"]


async def test_an_entry_is_written_once_even_if_whoever_asked_for_it_went_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_many, stored, told = database.run_many, asyncio.Event(), asyncio.Event()

    async def slow(statement: Any, rows: list[dict[str, Any]]) -> None:
        await run_many(statement, rows)
        stored.set()
        await told.wait()

    monkeypatch.setattr(database, "run_many", slow)
    audit = AuditLog(database)
    audit.note(entry())
    asking = asyncio.create_task(audit.recent(10))
    await stored.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    told.set()
    await audit.close()
    assert len(await audit.recent(10)) == 1


@given(st.text(st.characters(), max_size=700))
def test_any_text_fits_into_an_entry(text: str) -> None:
    made = AuditEntry(text, text, "denied", text, text, text)
    for name, most in (("user", 100), ("action", 40), ("subject", 300), ("detail", 500), ("session_id", 64)):
        kept = getattr(made, name)
        assert len(kept) == min(len(text), most)
        assert kept.isprintable()
        kept.encode()
    assert AuditEntry("ann", "egress", "allowed", "数 é 😀").subject == "数 é 😀"


def record(**fields: object) -> EgressRecord:
    values: dict[str, object] = {
        "session": SESSION,
        "user": "ann",
        "host": "example.com",
        "port": 443,
        "method": "CONNECT",
        "decision": "allowed",
        "reason": "",
        "bytes_up": 10,
        "bytes_down": 200,
        "duration_s": 1.25,
    }
    return EgressRecord(**(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "decision", "subject", "detail"),
    [
        ({}, "allowed", "CONNECT example.com:443", "10 bytes up, 200 down, 1.2 s"),
        (
            {"decision": "denied", "reason": "not allowed", "bytes_up": 0, "bytes_down": 0},
            "denied",
            "CONNECT example.com:443",
            "not allowed (0 bytes up, 0 down, 1.2 s)",
        ),
        ({"host": "2001:db8::1", "method": "GET", "port": 80}, "allowed", "GET [2001:db8::1]:80", "10 bytes up"),
        ({"host": "", "port": None, "method": "", "decision": "denied", "reason": "?"}, "denied", "? ?", "? (10"),
    ],
)
def test_a_sandboxes_request_becomes_an_entry(
    fields: dict[str, object], decision: str, subject: str, detail: str
) -> None:
    made = egress_entry(record(**fields))
    assert (made.user, made.session_id, made.action) == ("ann", SESSION, "egress")
    assert (made.decision, made.subject) == (decision, subject)
    assert made.detail.startswith(detail)


async def test_a_sandboxes_request_is_noted_and_counted(audit: AuditLog) -> None:
    before = EGRESS_REQUESTS.read("denied"), EGRESS_BYTES.read("up"), EGRESS_BYTES.read("down")
    told_of_egress(audit)(record(decision="denied"))
    after = EGRESS_REQUESTS.read("denied"), EGRESS_BYTES.read("up"), EGRESS_BYTES.read("down")
    assert tuple(b - a for a, b in zip(before, after, strict=True)) == (1, 10, 200)
    assert [one.decision for one in await audit.recent(10, SESSION)] == ["denied"]
