"""The door of exports."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from fastapi import APIRouter, Response

from orchestrator.api.files import INERT
from orchestrator.api.problems import Responses
from orchestrator.api.services import Readable, Wired
from orchestrator.notebook.export import notebook
from orchestrator.notebook.markdown import markdown
from orchestrator.notebook.page import page
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord
from orchestrator.workspace.names import attachment_header, file_stem

Exporter = Callable[[SessionRecord, Sequence[MessageRecord], Sequence[CellRecord]], bytes]
_FORMATS: dict[str, tuple[str, Exporter]] = {
    "ipynb": ("application/x-ipynb+json", notebook),
    "html": ("text/html; charset=utf-8", page),
    "md": ("text/markdown; charset=utf-8", markdown),
}
router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["export"])
_FILE: Responses = {200: {"content": {mime_type.split(";")[0]: {} for mime_type, _ in _FORMATS.values()}}}


@router.get("/export", response_class=Response, responses=_FILE)
async def export(
    found: Readable,
    services: Wired,
    format: Literal["ipynb", "html", "md"] = "ipynb",  # noqa: A002
) -> Response:
    """Return the conversation that is shown, with code and outputs, as a file."""
    record = found.record
    mime_type, exporter = _FORMATS[format]
    messages = await services.conversation.messages(record.id)
    cells = await services.conversation.cells(record.id)
    content = await asyncio.to_thread(exporter, record, messages, cells)
    headers = INERT | {"Content-Disposition": attachment_header(f"{file_stem(record.name)}.{format}")}
    return Response(content, headers=headers, media_type=mime_type)
