"""The host that the measurements ran on, and whether they can run here at all."""

import os
import platform
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.docker_cli import docker
from bench.errors import CannotMeasure
from orchestrator.config import Profile

_GIB = 2**30


def describe_host(profile: Profile) -> dict[str, str | int]:
    """Return what one has to know to compare figures of different runs."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "kernel": platform.release(),
        "engine": docker("version", "--format={{.Server.Version}}"),
        "runtime": profile.runtime,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_host(profile: Profile, disk_gib: int) -> None:
    """Check everything that the measurements need before any of them runs.

    Raises:
        CannotMeasure: something is missing; the text says what, and what to do.

    """
    if os.geteuid() != 0:
        raise CannotMeasure("run this as root: the orchestrator gives each session's files to a uid of their own")
    docker("version", "--format={{.Server.Version}}")
    try:
        docker("image", "inspect", "--format={{.Id}}", profile.image)
    except CannotMeasure as error:
        raise CannotMeasure(f"the image {profile.image} is not on this host; './glovebox up' builds it") from error
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < disk_gib * _GIB:
        raise CannotMeasure(
            f"{folder} has {free / _GIB:.1f} GiB free and {disk_gib} are needed; set TMPDIR to elsewhere"
        )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
