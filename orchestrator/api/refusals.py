"""Refusals: each problem that is told is counted by its code, and what is policy is written to the audit log."""

import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from orchestrator.limits import REFUSALS_NOTED_BURST, REFUSALS_NOTED_PER_S
from orchestrator.metrics import AUDIT_LOST, REFUSALS
from orchestrator.pace import Pace
from orchestrator.store.audit import AuditEntry, AuditLog
from orchestrator.store.records import SessionRecord

_POLICY = frozenset(
    {
        "wrong_host",
        "wrong_origin",
        "unauthorized",
        "untrusted_proxy",
        "no_account",
        "has_password",
        "wrong_password",
        "too_many_tries",
        "admins_only",
        "read_only",
        "unknown_profile",
        "runtime_missing",
        "disk_full",
        "disk_quota",
        "body_too_large",
    }
)


class Refusals:
    """Writes refusals by policy into the audit log, as long as they are no flood."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._paces: dict[tuple[str, str], Pace] = {}

    def of_turn(self, record: SessionRecord, problem: Mapping[str, Any]) -> None:
        """Note the problem that a turn ended with."""
        self._of_session("turn", record, problem)

    def of_cell(self, record: SessionRecord, problem: Mapping[str, Any]) -> None:
        """Note the problem that a cell ended with in a stream; any other way, it is a request's."""
        self._of_session("cell", record, problem)

    def _of_session(self, action: str, record: SessionRecord, problem: Mapping[str, Any]) -> None:
        REFUSALS.count(problem["code"])
        self.note(AuditEntry(record.owner, action, "denied", record.name, _told(problem), record.id), problem["code"])

    def note(self, entry: AuditEntry, code: str) -> None:
        """Write a refusal down if it is one by policy.

        What somebody without a token can send as fast as the network carries it must not fill the disk, nor push out
        what others do: of one kind of refusal to one user (or to all that are unknown) a burst is written down, then
        one now and then. The rest is only counted, as `glovebox_audit_lost_total{reason="flood"}`.
        """
        if code not in _POLICY:
            return
        pace = self._paces.setdefault((entry.user, code), Pace(REFUSALS_NOTED_PER_S, REFUSALS_NOTED_BURST))
        if pace.allows(time.monotonic()):
            self._audit.note(entry)
        else:
            AUDIT_LOST.count("flood")


def note_refusal(scope: Scope, user: str, problem: Mapping[str, Any]) -> None:
    """Count the problem that a request is answered with, and write it down if it is policy."""
    code = problem["code"]
    REFUSALS.count(code)
    services = getattr(scope["app"].state, "services", None) if "app" in scope else None
    if services is None:
        return
    client = (scope.get("client") or ("?",))[0]
    detail = f"{_told(problem)} (from {client}, for host {Headers(scope=scope).get('host', '')[:100]!r})"
    subject = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
    entry = AuditEntry(user, "request", "denied", subject, detail, scope.get("state", {}).get("session_id"))
    services.refusals.note(entry, code)


def _told(problem: Mapping[str, Any]) -> str:
    return f"{problem['code']}: {problem['detail']}"
