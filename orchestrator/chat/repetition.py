"""When a turn's failures have come to the point where more of the same makes no sense. No I/O."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from orchestrator.store.records import CellRecord

ALIKE_MOST = 3
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


class Advice(Enum):
    """What to do after a failure."""

    GO_ON = auto()
    ANOTHER_WAY = auto()
    ASK = auto()
    GIVE_UP = auto()


@dataclass(slots=True)
class Failures:
    """The failures of a turn since something worked last; `most` of them in a row are put up with."""

    most: int
    in_a_row: int = 0
    alike: int = 0
    error: str = ""
    _code: str = ""

    def worked(self) -> None:
        """Note that something worked."""
        self.in_a_row = self.alike = 0
        self.error = self._code = ""

    def failed(self, error: str, code: str) -> Advice:
        """Note a failure: its error in a line, and what was tried."""
        error, code = _ADDRESS.sub("0x…", error), code.strip()
        self.in_a_row += 1
        self.alike = self.alike + 1 if self.alike and (error == self.error or code == self._code) else 1
        self.error, self._code = error, code
        if self.in_a_row > self.most:
            return Advice.GIVE_UP
        if self.alike > ALIKE_MOST:
            return Advice.ASK
        return Advice.ANOTHER_WAY if self.alike == ALIKE_MOST else Advice.GO_ON


def error_of(cell: CellRecord) -> str:
    """Return a failed cell's error in a line; its status where it has none."""
    for output in reversed(cell.outputs):
        if output["output_type"] == "error":
            return f"{output['ename']}: {output['evalue']}"
    return cell.status
