"""Removing folders, however deep or wide a sandbox made them: a session's after its container is proven dead, and those
of a workspace that lives."""

import errno
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path

from orchestrator.limits import DELETED_ENTRIES
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


def remove_beneath(name: str, parent: int, most: int = DELETED_ENTRIES) -> bool:
    """Remove an entry of an open folder, with what is in it, while a sandbox may be at it. Blocks.

    Nothing ever leaves the folder that is removed but by being deleted, so that it counts to the workspace to the end;
    its subfolders are moved up into it, as in the trash. No link is followed.

    Returns:
        Whether all is gone: not when there was more than `most`, or when something keeps being added.

    Raises:
        OSError: nothing has that name.

    """
    try:
        top = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            raise
        os.unlink(name, dir_fd=parent)
        return True
    try:
        left = _empty_within(top, most)
    finally:
        os.close(top)
    if left <= 0:
        return False
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:  # something was added, or has another name now
        return False
    return True


def _empty_within(top: int, left: int) -> int:
    """Remove what is in an open folder; return how many more entries may be touched."""
    found = True
    while found and left > 0:
        found = False
        with os.scandir(top) as entries:
            for entry in entries:
                found = True
                left -= 1
                if left <= 0:
                    break
                with suppress(OSError):  # a sandbox swapped it, or was quicker
                    if entry.is_dir(follow_symlinks=False):
                        left = _flatten(entry.name, top, left)
                        os.rmdir(entry.name, dir_fd=top)
                    else:
                        os.unlink(entry.name, dir_fd=top)
    return left


def _flatten(name: str, top: int, left: int) -> int:
    """Remove a subfolder's files and move its own subfolders up; return how many more entries may be touched."""
    folder = os.open(name, FOLDER_FLAGS, dir_fd=top)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if left <= 0:
                    break
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        os.rename(entry.name, uuid.uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
                    else:
                        os.unlink(entry.name, dir_fd=folder)
    finally:
        os.close(folder)
    return left


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
