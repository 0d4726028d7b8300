"""A session's variables while it sleeps: saved and loaded by its kernel, in its workspace, and never opened here.

What the kernel says about it is all that comes out of the sandbox: a report of bounded size, whose words are hostile.
"""

from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import BadPath, FileMissing
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath

RESTORE_S = 60.0
SLACK_S = 5.0  # a single big variable may overrun its budget by as much before the kernel is ended without it
RESTORE = '__import__("glovebox_variables").restore()'
_FILES = [WorkspacePath.parse(f".glovebox/variables.{ending}") for ending in ("pickle", "json", "taken")]
_INDEX = _FILES[1]
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Budget:
    """What the saving of variables may take: bytes on disk and seconds."""

    most_bytes: int
    most_s: float

    def save(self) -> str:
        """Return the code that saves them."""
        return f'__import__("glovebox_variables").save({self.most_bytes:d}, {self.most_s:g})'


class NotKept(BaseModel):
    """A variable that could not be kept, why, and the numbers of the cells that made it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: str = Field(max_length=100)
    kind: str = Field(max_length=200)
    why: str = Field(max_length=300)
    cells: list[int] = Field(max_length=20)


class Report(BaseModel):
    """What became of the variables that a session fell asleep with."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    kept: int = Field(ge=0)
    lost: list[NotKept] = Field(max_length=50)

    def told(self) -> str:
        """Return it as a sentence or two for the person."""
        back = f"The session was asleep; {_variables(self.kept)} back." if self.kept else "The session was asleep."
        if not self.lost:
            return back
        named = "; ".join(_named(one) for one in self.lost[:_MOST_NAMED])
        more = len(self.lost) - _MOST_NAMED
        return f"{back} Not kept: {named}{f'; and {more} more' if more > 0 else ''}."


UNREADABLE = Report(kept=0, lost=[NotKept(name="all variables", kind="", why="they could not be loaded", cells=[])])


def parse_report(printed: str) -> Report | None:
    """Return the report in what the kernel printed, or None where there is none that makes sense."""
    try:
        return Report.model_validate_json(printed)
    except ValidationError:
        return None


def are_kept(folder: SessionFolder) -> bool:
    """Tell whether the workspace holds variables of a session that fell asleep. Blocks."""
    with suppress(FileMissing, BadPath), folder.opened(_INDEX):
        return True
    return False


def forget(folder: SessionFolder) -> None:
    """Remove what was kept: the kernel that it came from runs on. Blocks."""
    for path in _FILES:
        with suppress(FileMissing, BadPath):
            folder.delete(path)


def _variables(count: int) -> str:
    return "1 variable is" if count == 1 else f"{count} variables are"


def _named(one: NotKept) -> str:
    made = f", made by cell {' and '.join(f'[{number}]' for number in one.cells)}" if one.cells else ""
    kind = f"{one.kind}: " if one.kind else ""
    return f"{one.name} ({kind}{one.why}{made})"
