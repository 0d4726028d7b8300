"""The orchestrator's side of the spawner's socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import SandboxUnavailable
from orchestrator.lines.client import LineClient
from orchestrator.metrics import SPAWNER_TIMES
from orchestrator.spawner.requests import (
    Check,
    Checked,
    Create,
    Created,
    Inspect,
    Inspected,
    ListSandboxes,
    Sandbox,
    Stats,
    Stop,
    Used,
    Weigh,
)
from orchestrator.tracing import span

_ABSENT = SandboxUnavailable(
    "The spawner, which starts sandboxes, does not answer. See './glovebox logs spawner'.", code="spawner_unavailable"
)
_SANDBOXES: TypeAdapter[list[Sandbox]] = TypeAdapter(list[Sandbox])


@contextmanager
def _watched(verb: str) -> Iterator[None]:
    with SPAWNER_TIMES.timed(verb), span("spawner call", verb=verb):
        yield


class SpawnerClient:
    """Asks the spawner. Every call raises as LineClient says."""

    def __init__(self, socket_path: Path) -> None:
        self._line = LineClient(socket_path, _ABSENT, _watched)

    async def create(self, session_id: str, profile: str, uid: int) -> Created:
        """Start the session's sandbox, or find it running."""
        return await self._line.ask(Create(session_id=session_id, profile=profile, uid=uid), Created)

    async def stop(self, session_id: str) -> None:
        """Kill and remove the session's sandbox; returns when it is gone."""
        await self._line.answer(Stop(session_id=session_id))

    async def inspect(self, session_id: str) -> Inspected:
        """Tell whether the sandbox runs and how often it ran out of memory."""
        return await self._line.ask(Inspect(session_id=session_id), Inspected)

    async def stats(self, session_id: str) -> Used:
        """Tell what the sandbox uses."""
        return await self._line.ask(Stats(session_id=session_id), Used)

    async def weigh(self, session_id: str, *, least: bool) -> None:
        """Give the sandbox the least weight where CPU is short, or the usual one."""
        await self._line.answer(Weigh(session_id=session_id, least=least))

    async def list(self) -> list[Sandbox]:
        """List this instance's sandboxes."""
        return _SANDBOXES.validate_python(await self._line.answer(ListSandboxes()))

    async def check(self) -> Checked:
        """Tell whether engine, images and runtimes are there."""
        return await self._line.ask(Check(), Checked)
