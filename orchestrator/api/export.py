"""The door of exports."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response

from orchestrator.api.files import INERT
from orchestrator.api.problems import Responses
from orchestrator.api.services import Readable, Wired
from orchestrator.notebook.export import notebook
from orchestrator.workspace.names import attachment_header

_MIME_TYPE = "application/x-ipynb+json"
router = APIRouter(prefix="/v1/sessions/{session_id}", tags=["export"])
_NOTEBOOK: Responses = {200: {"content": {_MIME_TYPE: {}}}}
_FORBIDDEN_IN_NAMES = '/\\:*?"<>|'


@router.get("/export", response_class=Response, responses=_NOTEBOOK)
async def export(
    found: Readable,
    services: Wired,
    format: Literal["ipynb"] = "ipynb",  # noqa: A002
) -> Response:
    """Return the whole conversation with code and outputs as a file."""
    record = found.record
    messages = await services.conversation.messages(record.id)
    cells = await services.conversation.cells(record.id)
    content = await asyncio.to_thread(notebook, record, messages, cells)
    stem = "".join("_" if c in _FORBIDDEN_IN_NAMES or not c.isprintable() else c for c in record.name).strip(". ")
    headers = INERT | {"Content-Disposition": attachment_header(f"{stem or 'session'}.{format}")}
    return Response(content, headers=headers, media_type=_MIME_TYPE)
