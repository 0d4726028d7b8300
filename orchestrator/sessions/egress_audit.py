"""What sandboxes ask of the network, on its way into the audit log and the metrics."""

from collections.abc import Callable

from orchestrator.egress.exchange import EgressRecord
from orchestrator.metrics import EGRESS_BYTES, EGRESS_REQUESTS
from orchestrator.store.audit import AuditEntry, AuditLog


def egress_entry(record: EgressRecord) -> AuditEntry:
    """Return the entry of the audit log for one request of a sandbox."""
    host = f"[{record.host}]" if ":" in record.host else record.host or "?"
    port = "" if record.port is None else f":{record.port}"
    used = f"{record.bytes_up} bytes up, {record.bytes_down} down, {record.duration_s:.1f} s"
    return AuditEntry(
        user=record.user,
        session_id=record.session,
        action="egress",
        decision=record.decision,
        subject=f"{record.method or '?'} {host}{port}",
        detail=f"{record.reason} ({used})" if record.reason else used,
    )


def told_of_egress(audit: AuditLog) -> Callable[[EgressRecord], None]:
    """Return what an egress proxy is to call with each record: it is counted and noted, without waiting."""

    def tell(record: EgressRecord) -> None:
        EGRESS_REQUESTS.count(record.decision)
        EGRESS_BYTES.count("up", record.bytes_up)
        EGRESS_BYTES.count("down", record.bytes_down)
        audit.note(egress_entry(record))

    return tell
