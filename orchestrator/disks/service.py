"""What the disks service does. All calls block; the server makes them in threads."""

import errno
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from orchestrator.config import Profile
from orchestrator.disks import images, loop, mounts
from orchestrator.disks.requests import AnyRequest, Close, Delete, Disk, ListDisks, Open, Opened
from orchestrator.limits import DISK_RELEASE_S
from orchestrator.lines.messages import Refused

log = structlog.get_logger()
_IMAGE = re.compile(r"([0-9a-f]{32})\.ext4")
_POLL_S = 0.02


class Disks:
    """The hard disks beneath one data folder: images in `disks/`, each mounted at `sessions/<id>/disk`."""

    def __init__(self, data: Path, profiles: Mapping[str, Profile]) -> None:
        data.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._data = data.resolve()  # as mountinfo names it
        self._images = self._data / "disks"
        self._images.mkdir(mode=0o700, exist_ok=True)
        self._images.chmod(0o700)
        self._profiles = profiles
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._reserving = threading.Lock()
        for unfinished in self._images.glob("*.new"):
            unfinished.unlink()

    def answer(self, request: AnyRequest) -> Any:
        """Do what was asked and return the answer's model.

        Raises:
            Refused: it cannot be done; the detail says why.

        """
        if isinstance(request, ListDisks):
            return self._list()
        with self._locks[request.session_id]:
            try:
                match request:
                    case Open():
                        return self._open(request)
                    case Close():
                        return self._close(request.session_id)
                    case Delete():
                        return self._delete(request.session_id)
            except OSError as error:
                log.exception("disk call failed", verb=request.verb, session=request.session_id)
                detail = f"The session's disk cannot be used: {error.strerror or error}. See './glovebox logs disks'."
                raise Refused("disk_unavailable", detail) from error

    def _open(self, request: Open) -> Opened:
        profile = self._profiles.get(request.profile)
        if profile is None or profile.disk != "hard":
            raise Refused("unknown_profile", f"There is no profile {request.profile!r} with a hard disk.")
        with self._session(request.session_id) as session:
            new = not self._is_mounted(request.session_id)
            if new:
                with self._device(request.session_id, profile.disk_mb) as device:
                    mounts.mount(device, session)
            mounts.give_folders(session, request.uid)
        return Opened(new=new)

    def _close(self, session_id: str) -> dict[str, Any]:
        if not self._is_mounted(session_id):
            return {}
        with self._session(session_id) as session:
            if not _unmounted(session):
                raise Refused("disk_busy", "The session's disk is in use.")
        with self._image(session_id) as image:
            if not images.lock(image, DISK_RELEASE_S):
                raise Refused("disk_busy", "The session's disk is still mounted elsewhere, maybe in its sandbox.")
            images.give_back(image, self._images / f"{session_id}.ext4")
        return {}

    def _delete(self, session_id: str) -> dict[str, Any]:
        if self._is_mounted(session_id):
            with self._session(session_id) as session:
                if not _unmounted(session):
                    mounts.unmount(session, even_in_use=True)  # a download that is under way ends in peace
        for suffix in (".ext4", ".new"):
            (self._images / session_id).with_suffix(suffix).unlink(missing_ok=True)
        return {}

    def _list(self) -> list[Disk]:
        mounted = mounts.mounted_disks()
        ids = sorted(match.group(1) for name in os.listdir(self._images) if (match := _IMAGE.fullmatch(name)))
        return [Disk(session_id=one, mounted=self._point(one) in mounted) for one in ids]

    @contextmanager
    def _device(self, session_id: str, disk_mb: int) -> Iterator[str]:
        """Yield the path of a loop device with the session's image, which is made if there is none."""
        path = self._images / f"{session_id}.ext4"
        if not path.exists():
            images.make(path, disk_mb)
        with self._image(session_id) as image:
            device, name = self._attached(image, path, disk_mb)
            try:
                with self._reserving:
                    images.reserve(image)
                yield name
            finally:
                os.close(device)

    def _attached(self, image: int, path: Path, disk_mb: int) -> tuple[int, str]:
        give_up_at = time.monotonic() + DISK_RELEASE_S
        while not images.lock(image, 0):
            # A sandbox may still have it mounted: a second mount of the same device is the same file system.
            found = loop.holder(image, path.name)
            if found is not None:
                return found
            if time.monotonic() > give_up_at:
                raise Refused("disk_busy", "The session's disk is being worked on; try again in a moment.")
            time.sleep(_POLL_S)
        images.make_ready(image, path, disk_mb)
        return loop.attach(image, path.name)

    @contextmanager
    def _image(self, session_id: str) -> Iterator[int]:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._images / f"{session_id}.ext4", flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _session(self, session_id: str) -> Iterator[int]:
        with mounts.folder(self._data, "sessions", session_id) as session:
            yield session

    def _is_mounted(self, session_id: str) -> bool:
        return self._point(session_id) in mounts.mounted_disks()

    def _point(self, session_id: str) -> str:
        return str(self._data / "sessions" / session_id / mounts.POINT)


def _unmounted(session: int) -> bool:
    """Unmount a session's disk; tell whether that is done, or somebody uses it."""
    try:
        mounts.unmount(session)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
