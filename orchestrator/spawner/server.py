"""The spawner's unix socket: one JSON line of request, one JSON line of answer, then the connection ends."""

import asyncio
import os
import threading
from pathlib import Path

import structlog
from pydantic import ValidationError

from orchestrator.limits import SPAWNER_LINE_BYTES
from orchestrator.spawner.engine import Engine, Refused
from orchestrator.spawner.requests import REQUEST, Answer, Refusal

log = structlog.get_logger()
_REQUEST_DEADLINE_S = 10.0


class SpawnerServer:
    """Serves one engine on one socket."""

    def __init__(self, engine: Engine, socket_path: Path) -> None:
        self._engine = engine
        self._socket_path = socket_path

    async def serve(self) -> None:
        """Listen and answer until cancelled."""
        threading.Thread(target=self._engine.watch_out_of_memory, name="engine events", daemon=True).start()
        self._socket_path.unlink(missing_ok=True)
        before = os.umask(0o117)  # owner and group: there is no moment in which others could connect
        try:
            server = await asyncio.start_unix_server(self._converse, self._socket_path, limit=SPAWNER_LINE_BYTES)
        finally:
            os.umask(before)
        log.info("spawner listens", socket=str(self._socket_path))
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_DEADLINE_S):
                line = await reader.readline()
            answer = await self._answer(line)
            writer.write(answer.model_dump_json().encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError) as error:
            log.warning("request dropped", error=repr(error))
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = REQUEST.validate_json(line)
        except ValidationError as error:
            log.warning("request refused", error=str(error))
            return Answer(refused=Refusal(code="bad_request", detail="The spawner does not know that request."))
        try:
            return Answer(done=await asyncio.to_thread(self._engine.answer, request))
        except Refused as error:
            log.warning("refused", verb=request.verb, code=error.refusal.code, detail=error.refusal.detail)
            return Answer(refused=error.refusal)
        except Exception:
            log.exception("request failed", verb=request.verb)
            return Answer(refused=Refusal(code="spawner_error", detail="The spawner failed; its log says why."))
