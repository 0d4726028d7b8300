"""The side that answers: one request and one answer a connection."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from orchestrator.limits import REQUEST_LINE_BYTES
from orchestrator.lines.messages import Answer, Refusal, Refused, Request

log = structlog.get_logger()
_REQUEST_DEADLINE_S = 10.0
_Asked = TypeVar("_Asked", bound=Request)


class LineServer(Generic[_Asked]):
    """Serves one socket. `answer` blocks, so it is called in threads; what it raises is told as a refusal."""

    def __init__(
        self, name: str, socket_path: Path, requests: TypeAdapter[_Asked], answer: Callable[[_Asked], Any]
    ) -> None:
        self._name = name
        self._socket_path = socket_path
        self._requests = requests
        self._answer = answer

    async def serve(self) -> None:
        """Listen and answer until cancelled."""
        self._socket_path.unlink(missing_ok=True)
        before = os.umask(0o117)  # owner and group: there is no moment in which others could connect
        try:
            server = await asyncio.start_unix_server(self._converse, self._socket_path, limit=REQUEST_LINE_BYTES)
        finally:
            os.umask(before)
        log.info(f"{self._name} listens", socket=str(self._socket_path))
        async with server:
            await server.serve_forever()

    async def serve_until_told_to_end(self) -> None:
        """Listen and answer until SIGTERM or SIGINT."""
        task = asyncio.create_task(self.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_DEADLINE_S):
                line = await reader.readline()
            answer = await self._answered(line)
            writer.write(answer.model_dump_json().encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError) as error:
            log.warning("request dropped", error=repr(error))
        finally:
            writer.close()

    async def _answered(self, line: bytes) -> Answer:
        try:
            request = self._requests.validate_json(line)
        except ValidationError as error:
            log.warning("request refused", error=str(error))
            return Answer(refused=Refusal(code="bad_request", detail=f"The {self._name} does not know that request."))
        verb = getattr(request, "verb", "?")
        try:
            return Answer(done=await asyncio.to_thread(self._answer, request))
        except Refused as error:
            log.warning("refused", verb=verb, code=error.refusal.code, detail=error.refusal.detail)
            return Answer(refused=error.refusal)
        except Exception:
            log.exception("request failed", verb=verb)
            detail = f"The {self._name} failed; its log says why."
            return Answer(refused=Refusal(code=f"{self._name}_error".replace(" ", "_"), detail=detail))
