"""Uploads on their way: out of Gradio's cache, into a session's workspace, streamed; then the cached copy goes."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from ui import words
from ui.api_client import Api, ApiError

# Cached file -> its name in the session's workspace: so that sending again carries nothing twice.
Carried = dict[str, str]


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, or with ` (2)`, ` (3)`… before its ending when it is taken."""
    clean = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name).strip(" .") or "file"
    if clean not in taken:
        return clean
    path = PurePosixPath(clean)
    number = 2
    while (candidate := f"{path.stem} ({number}){path.suffix}") in taken:
        number += 1
    return candidate


# What an earlier process left behind; nothing that is still on its way is that old.
LEFT_BEHIND_S = 24 * 3600


def sweep(folder: Path) -> None:
    """Delete what was left behind in the cache when the page was killed."""
    oldest = time.time() - LEFT_BEHIND_S
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


class Luggage:
    """Carries files over."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def carry(self, session: str, files: Iterable[str], carried: Carried) -> Carried:
        """Write each file into the workspace that was not carried there before; returns what is carried now.

        Raises:
            ApiError: one could not be written; its text names the file.
        """
        done = dict(carried)
        waiting = [path for path in files if path not in done]
        if not waiting:
            return done
        taken = {entry["path"] for entry in await self._api.files(session)}
        for path in waiting:
            name = free_name(Path(path).name, taken)
            try:
                await self._api.put_file(session, name, Path(path))
            except OSError as error:
                raise ApiError(words.UPLOAD_FAILED.format(name=name, detail=error.strerror or "?")) from error
            except ApiError as error:
                raise ApiError(
                    words.UPLOAD_FAILED.format(name=name, detail=error.detail), error.code, error.status
                ) from error
            taken.add(name)
            done[path] = name
        return done

    def drop(self, files: Iterable[str]) -> None:
        """Delete the cached copies, and the folders that held nothing else."""
        for path in map(Path, files):
            path.unlink(missing_ok=True)
            try:
                path.parent.rmdir()
            except OSError:
                continue
