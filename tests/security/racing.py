"""A container in which `swap_names.py` runs on a folder of the host, as a sandbox would; and canaries outside."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.engine import docker
from tests.stack import wait_for

SWAPPER = Path(__file__).with_name("swap_names.py")
SECRET = b"outside"


@contextmanager
def swapping(mode: str, folder: Path, uid: int, targets: list[str], runtime: str) -> Iterator[None]:
    """Run the swapper as `uid` on a folder of the host, in a container without network and privileges."""
    name = f"gbtest-swapper-{uuid.uuid4().hex[:12]}"
    # fmt: off
    docker(
        "run", "--detach", "--name", name, "--label", f"glovebox.instance={name}", "--runtime", runtime,
        "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--read-only",
        "--user", f"{uid}:{uid}", "--memory", "256m", "--memory-swap", "256m", "--pids-limit", "128", "--init",
        "--cpus", "1", "--log-driver", "none", "--mount", f"type=bind,src={folder},dst=/mnt/data",
        "--mount", f"type=bind,src={SWAPPER},dst=/swap_names.py,readonly", "--entrypoint", "/opt/python/bin/python",
        "glovebox-sandbox", "/swap_names.py", mode, "/mnt/data", *targets,
    )
    # fmt: on
    try:
        wait_for((folder / "swapping").exists, "the swapper")
        yield
        assert docker("inspect", "--format", "{{.State.Running}}", name) == "true", "the swapper died"
    finally:
        docker("rm", "--force", name)


class Canary:
    """A folder outside of the sandbox with a file: nobody may read it or change anything about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "secret").write_bytes(SECRET)
        self._before = self._look()

    def untouched(self) -> bool:
        return self._look() == self._before

    def _look(self) -> object:
        files = {path.name: (path.read_bytes(), *_about(path)) for path in self.folder.iterdir()}
        return files, _about(self.folder)


def _about(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


class CanarySocket:
    """A listener that nobody may ever connect to, such as an engine's or another session's."""

    def __init__(self, path: Path, uid: int) -> None:
        self.path = path
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        path.chmod(0o777)
        os.chown(path, uid, uid)
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                self._listener.accept()[0].close()
                self.connections += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
