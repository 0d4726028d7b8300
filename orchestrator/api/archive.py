"""The door of archives: all files of a session as one zip, packed while it is sent."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator

from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from orchestrator.api.files import INERT
from orchestrator.api.problems import NO_SANDBOX, Responses
from orchestrator.api.services import Me, Readable, Wired
from orchestrator.metrics import FILE_BYTES
from orchestrator.workspace.archive import zipped
from orchestrator.workspace.names import attachment_header, file_stem

router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["files"])
_ZIP: Responses = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/archive", response_class=Response, responses=_ZIP | NO_SANDBOX)
async def get_archive(found: Readable, services: Wired, person: Me) -> Response:
    """Read all files of the workspace as one zip, as an attachment."""
    folder = await found.live.files()
    services.activity.note(person.id, found.record.id, "download", "all files")
    headers = INERT | {"Content-Disposition": attachment_header(f"{file_stem(found.record.name)}.zip")}
    return StreamingResponse(_sent(zipped(folder)), headers=headers, media_type="application/zip")


async def _sent(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what blocks of a generator give, each made in a thread when the one before it was sent."""
    at_it = threading.Lock()

    def make() -> bytes | None:
        with at_it:
            return next(blocks, None)

    def end() -> None:
        with at_it:  # whoever goes away may do so while a block is being made
            if isinstance(blocks, Generator):
                blocks.close()

    try:
        while (block := await asyncio.to_thread(make)) is not None:
            FILE_BYTES.count("down", len(block))
            yield block
    finally:
        asyncio.get_running_loop().run_in_executor(None, end)
