"""What this host has. In a container it is the host's, too: neither file knows of containers."""

import os
from pathlib import Path


def memory_mb(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the host's memory in MiB."""
    for line in meminfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) // 1024
    raise ValueError(f"{meminfo} has no MemTotal")


def cpus() -> int:
    """Return how many CPUs the host has."""
    return os.cpu_count() or 1
