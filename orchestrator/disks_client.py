"""The orchestrator's side of the disks service's socket."""

from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.disks.requests import Close, Delete, Disk, ListDisks, Open, Opened
from orchestrator.errors import SandboxUnavailable
from orchestrator.lines.client import LineClient

_ABSENT = SandboxUnavailable(
    "The disks service, which holds this session's files, does not answer. See './glovebox logs disks' and the head of "
    "compose.hard-disk.yaml.",
    code="disk_unavailable",
)
_DISKS: TypeAdapter[list[Disk]] = TypeAdapter(list[Disk])


class DisksClient:
    """Asks the disks service. Every call raises as LineClient says."""

    def __init__(self, socket_path: Path) -> None:
        self._line = LineClient(socket_path, _ABSENT)

    async def open(self, session_id: str, profile: str, uid: int) -> Opened:
        """Mount the session's disk, making it at its first use, or find it mounted."""
        return await self._line.ask(Open(session_id=session_id, profile=profile, uid=uid), Opened)

    async def close(self, session_id: str) -> None:
        """Unmount the session's disk; fine when it is not mounted, refused as `disk_busy` while it is in use."""
        await self._line.answer(Close(session_id=session_id))

    async def delete(self, session_id: str) -> None:
        """Remove the session's disk with all that is on it; its sandbox must be gone."""
        await self._line.answer(Delete(session_id=session_id))

    async def list(self) -> list[Disk]:
        """List all disks."""
        return _DISKS.validate_python(await self._line.answer(ListDisks()))
