"""The side that asks."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.errors import SandboxUnavailable
from orchestrator.limits import REQUEST_LINE_BYTES
from orchestrator.lines.messages import Answer, Request

_DEADLINE_S = 90.0
_PATIENCE_S = 3.0
_RETRY_S = 0.1
_Done = TypeVar("_Done", bound=BaseModel)


class LineClient:
    """Asks at one socket; each call is one short connection, so that a restarted server is simply found again.

    Every call raises SandboxUnavailable, with the server's own code and sentence, when it cannot be done; with
    `absent` when nobody answers.
    """

    def __init__(
        self,
        socket_path: Path,
        absent: SandboxUnavailable,
        watched: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """Each call happens within `watched(verb)`."""
        self._socket_path = socket_path
        self._absent = absent
        self._watched = watched

    async def ask(self, request: Request, model: type[_Done]) -> _Done:
        """Return the answer as this model."""
        return model.model_validate(await self.answer(request))

    async def answer(self, request: Request) -> object:
        """Return the answer as it is."""
        with self._watched(getattr(request, "verb", "?")):
            return await self._answer(request)

    async def _answer(self, request: Request) -> object:
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
            raise SandboxUnavailable(self._absent.detail, code=self._absent.code) from error
        if answer.refused is not None:
            raise SandboxUnavailable(answer.refused.detail, code=answer.refused.code)
        return answer.done

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, with patience for a server that is being restarted."""
        give_up_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                return await asyncio.open_unix_connection(self._socket_path, limit=REQUEST_LINE_BYTES)
            except (FileNotFoundError, ConnectionRefusedError):
                if asyncio.get_running_loop().time() > give_up_at:
                    raise
            await asyncio.sleep(_RETRY_S)
