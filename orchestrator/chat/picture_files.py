"""Pictures of a session, got ready for a model: read from its workspace or its cells, scaled in its sandbox."""

import asyncio
import os
from base64 import b64decode
from binascii import Error as NoBase64
from collections import OrderedDict
from collections.abc import Hashable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.chat.knowledge import Watching
from orchestrator.chat.pictures import Picture, TooLarge, read_picture, read_shown
from orchestrator.errors import BadPath, DiskFull, FileMissing
from orchestrator.limits import (
    ASIDE_PICTURE_CHARS,
    ASIDE_S,
    MIB,
    PICTURE_BYTES,
    PICTURE_SIDE,
    PICTURES_KEPT_BYTES,
    SCALED_FROM_BYTES,
)
from orchestrator.sessions.aside import Aside
from orchestrator.sessions.session import LiveSession
from orchestrator.workspace.folder import SessionFolder
from orchestrator.workspace.names import WorkspacePath

NO_PICTURE = "it is no picture (PNG, JPEG, WebP or GIF), whatever its name says"
NOT_SCALED = "it is too large to be shown, and it could not be made smaller in the sandbox"
TOO_LARGE = f"it is larger than {SCALED_FROM_BYTES // MIB} MiB"
GONE = "it is not in the workspace any more"
_ASIDE = WorkspacePath.parse(".glovebox/picture")


class _Scaled(BaseModel):
    """What the sandbox says it made; the picture is looked at again."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    base64: str = Field(max_length=ASIDE_PICTURE_CHARS)
    width: int = Field(ge=1, le=PICTURE_SIDE)
    height: int = Field(ge=1, le=PICTURE_SIDE)


class PictureFiles:
    """Pictures of all sessions; those that were scaled are kept for a while."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Picture] = OrderedDict()
        self._kept_bytes = 0

    async def of_file(self, session: LiveSession, name: str, watching: Watching | None = None) -> Picture | str:
        """Return a picture of the workspace, or in words why it cannot be shown."""
        try:
            path = WorkspacePath.parse(name)
            folder = await session.files()
            data, version = await asyncio.to_thread(_read, folder, path)
        except (BadPath, FileMissing):
            return GONE
        if version[0] > SCALED_FROM_BYTES:
            return TOO_LARGE
        found = read_picture(data)
        if not isinstance(found, TooLarge):
            return found or NO_PICTURE
        return await self._scaled(session, path, (session.id, name, version), watching)

    async def of_output(self, session: LiveSession, key: Hashable, value: object) -> Picture | str:
        """Return a picture that a cell has shown, or in words why it cannot be shown; `key` is which one it is."""
        found = await asyncio.to_thread(read_shown, value)
        if not isinstance(found, TooLarge):
            return found or NO_PICTURE
        if (session.id, key) in self._kept:
            return self._kept[session.id, key]
        folder = await session.files()
        try:
            await asyncio.to_thread(_put_aside, folder, str(value))
        except (BadPath, DiskFull, NoBase64):
            return NOT_SCALED
        try:
            return await self._scaled(session, _ASIDE, (session.id, key), None)
        finally:
            await asyncio.to_thread(_remove, folder)

    async def _scaled(
        self, session: LiveSession, path: WorkspacePath, key: Hashable, watching: Watching | None
    ) -> Picture | str:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        request = {"path": str(path), "side": PICTURE_SIDE, "bytes": PICTURE_BYTES}
        printed = await session.ask_aside(Aside("glovebox_pictures", request, ASIDE_S, ASIDE_PICTURE_CHARS), watching)
        try:
            said = _Scaled.model_validate_json(printed)
            found = read_picture(b64decode(said.base64, validate=True))
        except (ValidationError, NoBase64, ValueError):
            return NOT_SCALED
        if (
            isinstance(found, TooLarge)
            and found.mime_type == "image/jpeg"
            and len(said.base64) <= PICTURE_BYTES * 4 // 3
        ):
            found = Picture(found.mime_type, said.base64, said.width, said.height)
        if not isinstance(found, Picture):
            return NOT_SCALED
        self._keep(key, found)
        return found

    def _keep(self, key: Hashable, picture: Picture) -> None:
        self._kept[key] = picture
        self._kept_bytes += len(picture.base64)
        while self._kept_bytes > PICTURES_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].base64)


def _read(folder: SessionFolder, path: WorkspacePath) -> tuple[bytes, tuple[int, int]]:
    """Return a file's bytes, no more than shows what it is and whether it is too large, and which version it is."""
    with folder.opened(path) as descriptor:
        about = os.fstat(descriptor)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(PICTURE_BYTES + 1), (about.st_size, about.st_mtime_ns)


def _put_aside(folder: SessionFolder, value: str) -> None:
    """Write a cell's picture where its sandbox can read it."""
    upload = folder.begin_upload(None)
    try:
        upload.write(b64decode(value))
        upload.finish(_ASIDE)
    finally:
        upload.close()


def _remove(folder: SessionFolder) -> None:
    try:
        folder.delete(_ASIDE)
    except (BadPath, FileMissing):
        return
