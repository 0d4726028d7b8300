"""What people do, on its way into the audit log: who ran what, when, and with which files."""

import time
from collections import OrderedDict

from orchestrator.limits import ACTIVITY_NOTED_BURST, ACTIVITY_NOTED_PER_S, ACTIVITY_PEOPLE
from orchestrator.metrics import AUDIT_LOST
from orchestrator.pace import Pace
from orchestrator.store.audit import AuditEntry, AuditLog, Decision
from orchestrator.store.records import CellRecord


class Activity:
    """Notes without waiting, at a pace: nothing is ever deleted from the log, so nobody may fill the disk with it."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def note_cell(self, owner: str, cell: CellRecord) -> None:
        """Note a cell that ended: its code, and the files that it made or changed."""
        files = f"; files: {', '.join(str(file['path']) for file in cell.files[:5])}" if cell.files else ""
        more = f" and {len(cell.files) - 5} more" if len(cell.files) > 5 else ""
        told = f"{cell.status}, {cell.duration_s:.1f} s{files}{more}"
        self.note(owner, cell.session_id, "cell", cell.code, told, "allowed" if cell.status == "ok" else "failed")

    def note(
        self, owner: str, session_id: str, action: str, subject: str, detail: str = "", decision: Decision = "allowed"
    ) -> None:
        """Note that somebody did something in a session."""
        pace = self._paces.pop(owner, None) or Pace(ACTIVITY_NOTED_PER_S, ACTIVITY_NOTED_BURST)
        self._paces[owner] = pace
        while len(self._paces) > ACTIVITY_PEOPLE:
            self._paces.popitem(last=False)
        if pace.allows(time.monotonic()):
            self._audit.note(AuditEntry(owner, action, decision, subject, detail, session_id))
        else:
            AUDIT_LOST.count("flood")
