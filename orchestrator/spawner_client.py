"""The orchestrator's side of the spawner's socket."""

import asyncio
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import SPAWNER_LINE_BYTES
from orchestrator.spawner.requests import (
    Answer,
    AnyRequest,
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
)

_DEADLINE_S = 90.0
_PATIENCE_S = 3.0
_RETRY_S = 0.1
_Done = TypeVar("_Done", bound=BaseModel)
_SANDBOXES: TypeAdapter[list[Sandbox]] = TypeAdapter(list[Sandbox])


class SpawnerClient:
    """Asks the spawner; each call is one short connection, so that a restarted spawner is simply found again.

    Every call raises SandboxUnavailable, with the spawner's own code and sentence, when it cannot be done.
    """

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    async def create(self, session_id: str, profile: str, uid: int) -> Created:
        """Start the session's sandbox, or find it running."""
        return await self._ask(Create(session_id=session_id, profile=profile, uid=uid), Created)

    async def stop(self, session_id: str) -> None:
        """Kill and remove the session's sandbox; returns when it is gone."""
        await self._answer(Stop(session_id=session_id))

    async def inspect(self, session_id: str) -> Inspected:
        """Tell whether the sandbox runs and how often it ran out of memory."""
        return await self._ask(Inspect(session_id=session_id), Inspected)

    async def stats(self, session_id: str) -> Used:
        """Tell what the sandbox uses."""
        return await self._ask(Stats(session_id=session_id), Used)

    async def list(self) -> list[Sandbox]:
        """List this instance's sandboxes."""
        return _SANDBOXES.validate_python(await self._answer(ListSandboxes()))

    async def check(self) -> Checked:
        """Tell whether engine, images and runtimes are there."""
        return await self._ask(Check(), Checked)

    async def _ask(self, request: AnyRequest, model: type[_Done]) -> _Done:
        return model.model_validate(await self._answer(request))

    async def _answer(self, request: AnyRequest) -> object:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                reader, writer = await self._connect()
                try:
                    writer.write(request.model_dump_json().encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
            answer = Answer.model_validate_json(line)
        except (OSError, TimeoutError, ValidationError, ValueError) as error:
            detail = "The spawner, which starts sandboxes, does not answer. See './glovebox logs spawner'."
            raise SandboxUnavailable(detail, code="spawner_unavailable") from error
        if answer.refused is not None:
            raise SandboxUnavailable(answer.refused.detail, code=answer.refused.code)
        return answer.done

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with patience for a spawner that is being restarted."""
        give_up_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                return await asyncio.open_unix_connection(self._socket_path, limit=SPAWNER_LINE_BYTES)
            except (FileNotFoundError, ConnectionRefusedError):
                if asyncio.get_running_loop().time() > give_up_at:
                    raise
            await asyncio.sleep(_RETRY_S)
