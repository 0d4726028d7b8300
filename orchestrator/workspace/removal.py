"""Removing a session's folder after its container is proven dead, however deep or wide the sandbox made it."""

import os
import threading
import uuid
from pathlib import Path

from orchestrator.workspace.descriptors import FOLDER_FLAGS

_one_at_a_time = threading.Lock()


def remove_folder(folder: Path, trash: Path) -> None:
    """Move a folder into the trash, which takes it away at once, and empty the trash. Blocks."""
    trash.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.rename(trash / uuid.uuid4().hex)
    except FileNotFoundError:
        return
    empty_trash(trash)


def empty_trash(trash: Path) -> None:
    """Remove all that is in the trash. Blocks.

    Subfolders are moved up into the trash before they are emptied, so that depth costs neither stack nor descriptors,
    and no path ever grows long. No link is followed.
    """
    if not trash.is_dir():
        return
    with _one_at_a_time:
        top = os.open(trash, FOLDER_FLAGS)
        try:
            while names := os.listdir(top):
                for name in names:
                    _empty(name, top)
        finally:
            os.close(top)


def _empty(name: str, top: int) -> None:
    """Remove one entry of the trash, leaving its subfolders as new entries of the trash."""
    try:
        folder = os.open(name, FOLDER_FLAGS, dir_fd=top)
    except OSError:
        os.unlink(name, dir_fd=top)
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    os.rename(entry.name, uuid.uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
                else:
                    os.unlink(entry.name, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
