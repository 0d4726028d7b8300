"""A stack with hard disks, and what of disks there is on this host beneath a folder. All of it is cleaned up."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stack import STANDARD, Stack, wait_for

DISK_MB = 32
SMALL: dict[str, Any] = {**STANDARD, "disk": "hard", "disk_mb": DISK_MB}
PROFILES: dict[str, Any] = {"standard": SMALL, "sleepy": {**SMALL, "idle_s": 2}}


class HardStack(Stack):
    """A stack whose sessions have hard disks, and the process that mounts them."""

    def __init__(self, folder: Path, runtime: str = "runc") -> None:
        profiles = {name: {"runtime": runtime, **profile} for name, profile in PROFILES.items()}
        socket = folder / "disks.sock"
        super().__init__(folder, {"profiles": profiles}, {"GLOVEBOX_DISKS_SOCKET": str(socket)}, runtime)
        self.profiles = profiles
        self.disks: subprocess.Popen[bytes] | None = None

    def start_disks(self) -> None:
        (self.folder / "disks.sock").unlink(missing_ok=True)  # a killed one leaves it
        self.disks = self._start("orchestrator.disks", "disks.log")
        wait_for((self.folder / "disks.sock").exists, "the disks service's socket")

    def stop(self) -> None:
        super().stop()
        self.kill(self.disks)

    def disk(self, session_id: str) -> Path:
        return self.folder / "data" / "sessions" / session_id / "disk"

    def image(self, session_id: str) -> Path:
        return self.folder / "data" / "disks" / f"{session_id}.ext4"


@contextlib.contextmanager
def running_hard_stack(folder: Path, runtime: str = "runc") -> Iterator[HardStack]:
    """Run a stack with hard disks, and make sure that nothing of it is left."""
    stack = HardStack(folder, runtime)
    try:
        stack.start_spawner()
        stack.start_disks()
        stack.start_orchestrator()
        yield stack
    finally:
        try:
            stack.stop()
        finally:
            unmount_beneath(folder)
    assert stack.containers() == mounted_beneath(folder) == [], "the tests left something behind"
    wait_for(lambda: not loop_devices(folder), "the loop devices to go")


def mounted_beneath(folder: Path) -> list[str]:
    """Return what is mounted beneath a folder, the last one first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in reversed(lines) if line.split()[1].startswith(f"{folder}/")]


def unmount_beneath(folder: Path) -> None:
    for point in mounted_beneath(folder):
        if subprocess.run(["umount", point], check=False, capture_output=True).returncode != 0:
            subprocess.run(["umount", "-l", point], check=False)


def loop_devices(folder: Path) -> list[str]:
    """Return the files beneath a folder that loop devices are attached to."""
    done = subprocess.run(["losetup", "--json", "-O", "BACK-FILE"], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout or '{"loopdevices": []}')["loopdevices"]
    return [one["back-file"] for one in found if (one["back-file"] or "").startswith(f"{folder}/")]
