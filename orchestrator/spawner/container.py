"""The settings of a sandbox's container, from its profile. No I/O; THREATS 2.1 says why each line is there."""

import math
from dataclasses import dataclass
from typing import Any

from orchestrator.config import Profile
from orchestrator.limits import MIB
from orchestrator.spawner.requests import Create
from orchestrator.spawner.seccomp import seccomp_profile

HOME = "/home/sandbox"
WORKSPACE = "/mnt/data"
RUN = "/run/glovebox"
EGRESS = "/run/egress"
CPU_SHARES = 128  # an eighth of anybody else's: a host that is short of CPU serves the orchestrator first
LEAST_CPU_SHARES = 2  # the kernel's least, of a sandbox that gives way to the others

# The engine's own list, and what else tells about the host and what others do on it (THREATS S14).
MASKED_PATHS = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/cmdline",
    "/proc/diskstats",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/locks",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/softirqs",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/class/dmi",
    "/sys/devices/virtual/dmi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/btrfs",
    "/sys/fs/ext4",
    "/sys/fs/xfs",
    "/sys/kernel/vmcoreinfo",
    "/sys/module",
]


@dataclass(frozen=True, slots=True)
class DataOnVolume:
    """Session folders lie on a named volume of the engine."""

    volume: str

    def mount(self, subfolder: str, target: str, *, read_only: bool = False) -> dict[str, Any]:
        """Return the mount of one folder; the engine resolves the subpath without leaving the volume."""
        return {
            "Type": "volume",
            "Source": self.volume,
            "Target": target,
            "ReadOnly": read_only,
            "VolumeOptions": {"Subpath": subfolder, "NoCopy": True},
        }


@dataclass(frozen=True, slots=True)
class DataInFolder:
    """Session folders lie in a folder of the host (tests, and an orchestrator without Compose)."""

    folder: str

    def mount(self, subfolder: str, target: str, *, read_only: bool = False) -> dict[str, Any]:
        """Return the mount of one folder."""
        return {
            "Type": "bind",
            "Source": f"{self.folder}/{subfolder}",
            "Target": target,
            "ReadOnly": read_only,
            "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
        }


Data = DataOnVolume | DataInFolder


def container_settings(request: Create, profile: Profile, data: Data, labels: dict[str, str]) -> dict[str, Any]:
    """Return the body of the engine's `POST /containers/create` for one sandbox."""
    owner = f"{request.uid}:{request.uid}"
    threads = str(max(1, math.ceil(profile.cpus)))
    session = f"sessions/{request.session_id}"
    # A hard disk's workspace exists only while that is mounted: where it is not, the engine refuses.
    workspace = f"{session}/disk/workspace" if profile.disk == "hard" else f"{session}/workspace"
    memory = profile.memory_mb * MIB
    inodes = profile.memory_mb * 16  # tmpfs inodes are kernel memory; a file each 64 KiB is plenty
    mounts = [data.mount(workspace, WORKSPACE), data.mount(f"{session}/run", RUN)]
    if profile.network != "none":
        # A folder of the orchestrator's: the sandbox may connect to the proxy's socket in it, and not replace it.
        mounts.append(data.mount(f"{session}/egress", EGRESS, read_only=True))
    return {
        "Image": profile.image,
        "User": owner,
        "WorkingDir": WORKSPACE,
        "Hostname": "sandbox",
        "Labels": labels,
        "StopTimeout": 1,
        "Env": [
            "PATH=/opt/python/bin:/usr/bin:/bin",
            "LANG=C.UTF-8",
            f"HOME={HOME}",
            "USER=sandbox",
            f"OMP_NUM_THREADS={threads}",
            f"OPENBLAS_NUM_THREADS={threads}",
            f"POLARS_MAX_THREADS={threads}",
            f"LOKY_MAX_CPU_COUNT={threads}",
        ],
        "HostConfig": {
            "Runtime": profile.runtime,
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            "Privileged": False,
            "ReadonlyRootfs": True,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Init": True,
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "LogConfig": {"Type": "none"},
            "Memory": memory,
            "MemorySwap": memory,
            "OomScoreAdj": 500,
            "NanoCpus": int(profile.cpus * 1e9),
            "CpuShares": CPU_SHARES,
            "PidsLimit": profile.pids,
            "ShmSize": 64 * MIB,
            "Ulimits": [
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "nofile", "Soft": 4096, "Hard": 4096},
                {"Name": "nproc", "Soft": profile.pids, "Hard": profile.pids},
                {"Name": "fsize", "Soft": profile.disk_mb * MIB, "Hard": profile.disk_mb * MIB},
                # What the engine itself was started with would be handed on otherwise, whatever that is.
                {"Name": "memlock", "Soft": 8 * MIB, "Hard": 8 * MIB},
                {"Name": "msgqueue", "Soft": 0, "Hard": 0},
                {"Name": "nice", "Soft": 0, "Hard": 0},
                {"Name": "rtprio", "Soft": 0, "Hard": 0},
                {"Name": "sigpending", "Soft": 4096, "Hard": 4096},
            ],
            "Tmpfs": {
                "/tmp": f"rw,noexec,nosuid,nodev,size={profile.tmp_mb}m,nr_inodes={inodes},mode=1777",
                HOME: (
                    f"rw,noexec,nosuid,nodev,size={profile.tmp_mb}m,nr_inodes={inodes},mode=0700,"
                    f"uid={request.uid},gid={request.uid}"
                ),
            },
            "Mounts": mounts,
            "MaskedPaths": MASKED_PATHS,
            "ReadonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
        },
    }
