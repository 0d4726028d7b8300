"""Doors of the workspace's files. What a sandbox wrote is served so that no browser ever runs it (THREATS W6)."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import JSONResponse, StreamingResponse

from orchestrator.api.problems import NO_ROOM, Responses
from orchestrator.api.services import Me, Owned, Readable, Wired
from orchestrator.api.shapes import Body, FileShape
from orchestrator.errors import BadRequest
from orchestrator.limits import DOWNLOAD_CHUNK_BYTES, PATH_BYTES, UPLOAD_CHUNK_BYTES
from orchestrator.metrics import FILE_BYTES
from orchestrator.sessions.disk_quota import Charge
from orchestrator.workspace.folder import FoundFile
from orchestrator.workspace.names import WorkspacePath, attachment_header, mime_type
from orchestrator.workspace.upload import Upload


class _AnyText(Convertor[str]):
    """The rest of a path, line breaks included: a bad name is to be told as one, not as a route that is missing."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any_text", _AnyText())
router = APIRouter(prefix="/v1/sessions/{session_id}/files", tags=["files"])
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_A_FILE: Responses = {200: {"content": {"*/*": _BYTES}}, 206: {"content": {"*/*": _BYTES}, "description": "a part"}}
_RANGE = {"in": "header", "name": "Range", "schema": {"type": "string"}, "description": "bytes=a-b"}
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UploadedShape(FileShape):
    """A file that was just uploaded; `replaced` tells whether something had that path."""

    replaced: bool


class NewPath(Body):
    """Body of `POST /v1/sessions/{id}/files/{path}/rename`."""

    to: str = Field(min_length=1, max_length=PATH_BYTES)


class Coming(Body):
    """Body of `POST /v1/sessions/{id}/files`: how large the file is that one wants to send."""

    bytes: int = Field(ge=0, lt=2**63)


_REPLACED: Responses = {200: {"model": UploadedShape, "description": "it replaced a file"}}
INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@router.post("", status_code=204, responses=NO_ROOM)
async def ask_for_room(owned: Owned, services: Wired, body: Coming) -> Response:
    """Tell whether a file of so many bytes may come: `204`, or refused as its `PUT` would be. Nothing is kept free."""
    record, session = owned
    folder = await session.files(make=True)
    async with services.sessions.disk_quota.upload(record.owner, record.id, body.bytes):
        upload = await asyncio.to_thread(folder.begin_upload, body.bytes)
        await asyncio.to_thread(upload.close)
    return Response(status_code=204)


@router.get("", response_model=list[FileShape])
async def list_files(found: Readable) -> Any:
    """List the workspace's files."""
    folder = await found.live.files()
    files = await asyncio.to_thread(folder.list_files)
    return JSONResponse([_shape(file) for file in files])


@router.put(
    "/{path:any_text}",
    status_code=201,
    response_model=UploadedShape,
    responses=_REPLACED | NO_ROOM,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": _BYTES}}},
)
async def put_file(owned: Owned, services: Wired, request: Request, path: str) -> Any:
    """Write a file, streamed. It appears under its name only when it is whole; `200` when it replaced one."""
    record, session = owned
    target = WorkspacePath.parse_new(path)
    expected = request.headers.get("content-length", "")
    expected_bytes = int(expected) if expected.isdecimal() else None
    folder = await session.files(make=True)
    async with services.sessions.disk_quota.upload(record.owner, record.id, expected_bytes) as charge:
        upload = await asyncio.to_thread(folder.begin_upload, expected_bytes)
        try:
            size = await _receive(request, upload, charge)
            replaced = await asyncio.to_thread(upload.finish, target, undoable=True)
        finally:
            await asyncio.to_thread(upload.close)
    services.sessions.touch(record)
    services.activity.note(record.owner, record.id, "upload", str(target), f"{size:,} bytes")
    now_ns = int(datetime.now(UTC).timestamp() * 1e9)
    shape = _shape(FoundFile(str(target), size, now_ns)) | {"replaced": replaced}
    return JSONResponse(shape, 200 if replaced else 201)


@router.post("/{path:any_text}/rename", response_model=FileShape, responses=NO_ROOM)
async def rename_file(owned: Owned, services: Wired, path: str, body: NewPath) -> Any:
    """Give a file, or a folder with all that is in it, another path. `409` where that is taken."""
    target, to = WorkspacePath.parse(path), WorkspacePath.parse_new(body.to)
    folder = await owned[1].files()
    found = await asyncio.to_thread(folder.rename, target, to)
    services.activity.note(owned[0].owner, owned[0].id, "file_renamed", str(target), str(to))
    return JSONResponse(_shape(found))


@router.post("/{path:any_text}/undo", status_code=204)
async def undo_upload(owned: Owned, services: Wired, path: str) -> Response:
    """Take back the last upload to a path: what it replaced is there again; where it replaced nothing, it is gone."""
    target = WorkspacePath.parse(path)
    folder = await owned[1].files()
    await asyncio.to_thread(folder.undo_upload, target)
    services.activity.note(owned[0].owner, owned[0].id, "upload_undone", str(target))
    return Response(status_code=204)


@router.get("/{path:any_text}", response_class=Response, responses=_A_FILE, openapi_extra={"parameters": [_RANGE]})
async def get_file(found: Readable, services: Wired, person: Me, request: Request, path: str) -> Response:
    """Read a file, streamed, as an attachment; `Range: bytes=a-b` gives a part."""
    target = WorkspacePath.parse(path)
    folder = await found.live.files()
    descriptor = await asyncio.to_thread(folder.open, target)
    try:
        size = os.fstat(descriptor).st_size
        part = byte_range(request.headers.get("range"), size)
    except BaseException:
        os.close(descriptor)
        raise
    start, end = part or (0, size)
    headers = INERT | {
        "Content-Disposition": attachment_header(target.name),
        "Content-Length": str(end - start),
        "Accept-Ranges": "bytes",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    services.activity.note(person.id, found.record.id, "download", str(target), f"{end - start:,} bytes")
    body = _read(descriptor, start, end)
    return StreamingResponse(body, 200 if part is None else 206, headers, media_type=mime_type(target.name))


@router.delete("/{path:any_text}", status_code=204)
async def delete_file(owned: Owned, services: Wired, path: str) -> Response:
    """Delete a file, or a folder with what is in it."""
    target = WorkspacePath.parse(path)
    folder = await owned[1].files()
    await asyncio.to_thread(folder.delete_all, target)
    services.activity.note(owned[0].owner, owned[0].id, "file_deleted", str(target))
    return Response(status_code=204)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return `(start, end)` of a single range, or None for the whole: several ranges are not worth their risk.

    Raises:
        BadRequest: 416, the range lies outside the file (RFC 9110, 14.2).

    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise RangeOutside(f"The file has {size} bytes.")
    return start, end


class RangeOutside(BadRequest):
    """A range that the file does not have."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "range_outside"
    title = "The file is not that long"


async def _receive(request: Request, upload: Upload, charge: Charge) -> int:
    """Write the request's body chunk by chunk; a client that breaks off raises ClientDisconnect. Return its size."""
    size = 0
    gathered = bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        FILE_BYTES.count("up", len(chunk))
        charge(len(chunk))
        gathered += chunk
        if len(gathered) >= UPLOAD_CHUNK_BYTES:
            await asyncio.to_thread(upload.write, gathered)
            gathered = bytearray()
    if gathered:
        await asyncio.to_thread(upload.write, gathered)
    return size


async def _read(descriptor: int, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield a part of an open file and close it. A file that shrinks meanwhile ends the connection early."""
    try:
        while start < end:
            chunk = await asyncio.to_thread(os.pread, descriptor, min(DOWNLOAD_CHUNK_BYTES, end - start), start)
            if not chunk:
                return
            start += len(chunk)
            FILE_BYTES.count("down", len(chunk))
            yield chunk
    finally:
        os.close(descriptor)


def _shape(file: FoundFile) -> dict[str, Any]:
    return FileShape(
        path=file.path,
        size=file.size,
        modified_at=datetime.fromtimestamp(file.changed_ns / 1e9, UTC),
        mime_type=mime_type(file.path),
    ).model_dump(mode="json")
