"""Which pictures a model sees in a turn: the latest ones that its budget allows, attached and drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.chat.knowledge import Watching
from orchestrator.chat.picture_files import PictureFiles
from orchestrator.chat.pictures import PICTURE_ENDINGS, Picture
from orchestrator.chat.prompt import LOOK_NAME, Shown
from orchestrator.events import EventLog
from orchestrator.limits import PICTURES_BYTES, PICTURES_TOLD
from orchestrator.sessions.session import LiveSession
from orchestrator.store.records import CellRecord, MessageRecord

_KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif")


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a picture belongs: to a message, whose file it is, or to a cell, whose output it is."""

    owner: str
    name: str = ""
    output: int = 0


class Pictures:
    """The pictures of one turn."""

    def __init__(
        self, files: PictureFiles, session: LiveSession, cells: Sequence[CellRecord], most_tokens: int
    ) -> None:
        self._files = files
        self._session = session
        self._most_tokens = most_tokens
        self._drawn: dict[str, list[tuple[int, object]]] = {}
        self._found: dict[Slot, Picture | str] = {}
        for cell in cells:
            self.note(cell)

    def note(self, cell: CellRecord) -> None:
        """Take note of a cell that ended."""
        if drawn := list(drawn_by(cell)):
            self._drawn[cell.cell_id] = drawn

    async def shown(
        self, branch: Sequence[MessageRecord], parts: Sequence[Mapping[str, Any]], events: EventLog
    ) -> Shown:
        """Return what is shown of the branch, which ends with the question, and of the turn so far."""
        latest = {branch[-1].id, *(part["cell_id"] for part in parts if part["type"] == "cell")}
        tokens, size, full = 0, 0, False
        chosen: list[tuple[Slot, Picture]] = []
        notes: dict[str, list[str]] = {}
        for slot in self._newest_first(branch, parts):
            found = "" if full else await self._picture(slot, Watching(events) if slot.owner == branch[-1].id else None)
            if isinstance(found, Picture):
                tokens, size = tokens + found.tokens, size + len(found.base64)
                full = tokens > self._most_tokens or size > PICTURES_BYTES or len(chosen) == PICTURES_TOLD
                if not full:
                    chosen.append((slot, found))
                    continue
            why = found if isinstance(found, str) and found else "there is no room for more"
            if slot.owner in latest:
                notes.setdefault(slot.owner, []).insert(0, f"{slot.name or 'one'} is not shown to you: {why}")
            elif slot.name:
                notes.setdefault(slot.owner, []).insert(0, f"{slot.name} is not shown to you any more")
        shown: dict[str, list[Any]] = {}
        for slot, picture in reversed(chosen):
            shown.setdefault(slot.owner, []).append(picture.part())
        return Shown(shown, notes)

    async def _picture(self, slot: Slot, watching: Watching | None) -> Picture | str:
        if slot not in self._found:
            if slot.name:
                self._found[slot] = await self._files.of_file(self._session, slot.name, watching)
            else:
                value = dict(self._drawn[slot.owner])[slot.output]
                self._found[slot] = await self._files.of_output(self._session, slot, value)
        return self._found[slot]

    def _newest_first(self, branch: Sequence[MessageRecord], parts: Sequence[Mapping[str, Any]]) -> Iterator[Slot]:
        yield from self._of_cells(parts)
        for message in reversed(branch):
            if message.role == "user":
                yield from (Slot(message.id, name) for name in reversed(pictures_of(message)))
            else:
                yield from self._of_cells(message.parts)

    def _of_cells(self, parts: Sequence[Mapping[str, Any]]) -> Iterator[Slot]:
        for part in reversed(parts):
            for output, _ in reversed(self._drawn.get(part.get("cell_id", ""), ())):
                yield Slot(part["cell_id"], "", output)


def drawn_by(cell: CellRecord) -> Iterator[tuple[int, object]]:
    """Yield the pictures that a cell has shown, with the numbers of their outputs."""
    for number, output in enumerate(cell.outputs):
        data = output.get("data", {})
        kind = next((kind for kind in _KINDS if kind in data), None)
        if kind is not None:
            yield number, data[kind]


def pictures_of(message: MessageRecord) -> list[str]:
    """Return the attached files that are pictures by their names."""
    return [name for name in message.attachments if name.lower().endswith(PICTURE_ENDINGS)]


def unseen(message: MessageRecord, *, asks: bool) -> Shown:
    """Return what a model that cannot see is told of attached pictures."""
    how = f"have it looked at with {LOOK_NAME}" if asks else "you cannot see it"
    notes = [f"{name}: {how}" for name in pictures_of(message)]
    return Shown(notes={message.id: notes} if notes else {})
