"""The spawner's own container settings as a `docker run` command, so that the floor has the same walls and limits."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

# What the command line has no flag for. The engine's own lists apply to the floor, which are a little shorter.
_WITHOUT_A_FLAG = frozenset({"MaskedPaths", "ReadonlyPaths"})
_FALSE_BY_DEFAULT = frozenset({"Privileged", "AutoRemove"})


def docker_run(settings: dict[str, Any], name: str) -> tuple[list[str], list[str]]:
    """Return the command that starts such a container in the background, and the settings that it cannot say."""
    command = ["docker", "run", "--detach", "--pull=never", f"--name={name}"]
    unsaid: list[str] = []
    everything = {key: value for key, value in settings.items() if key not in ("Image", "HostConfig")}
    for key, value in (everything | settings["HostConfig"]).items():
        if key in _FLAGS:
            flag, values = _FLAGS[key]
            command += [f"--{flag}={text}" for text in values(value)]
        elif key not in _WITHOUT_A_FLAG and not (key in _FALSE_BY_DEFAULT and value is False):
            unsaid.append(key)
    return [*command, settings["Image"]], unsaid


def _mount(mount: dict[str, Any]) -> str:
    """Return a bind mount as the command line writes it; the bench has no volumes."""
    options = mount.get("BindOptions", {})
    parts = [f"type={mount['Type']}", f"source={mount['Source']}", f"target={mount['Target']}"]
    if mount.get("ReadOnly"):
        parts.append("readonly")
    if "Propagation" in options:
        parts.append(f"bind-propagation={options['Propagation']}")
    if options.get("NonRecursive"):
        parts.append("bind-recursive=disabled")
    return ",".join(parts)


def _as_it_is(value: Any) -> list[str]:
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _each(value: Any) -> list[str]:
    return [str(item) for item in value]


def _security(options: list[str]) -> list[str]:
    """Return the options with the seccomp profile in a file, where the command line wants it."""
    return [f"seccomp={_in_a_file(option[8:])}" if option.startswith("seccomp={") else option for option in options]


@cache
def _in_a_file(profile: str) -> str:
    folder = tempfile.mkdtemp(prefix="glovebox-bench-")
    atexit.register(shutil.rmtree, folder)
    path = Path(folder) / "seccomp.json"
    path.write_text(profile)
    return str(path)


# The engine's name of each setting: the command line's flag, and how it writes the value.
_FLAGS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "User": ("user", _as_it_is),
    "WorkingDir": ("workdir", _as_it_is),
    "Hostname": ("hostname", _as_it_is),
    "StopTimeout": ("stop-timeout", _as_it_is),
    "Runtime": ("runtime", _as_it_is),
    "NetworkMode": ("network", _as_it_is),
    "ReadonlyRootfs": ("read-only", _as_it_is),
    "IpcMode": ("ipc", _as_it_is),
    "CgroupnsMode": ("cgroupns", _as_it_is),
    "Init": ("init", _as_it_is),
    "Memory": ("memory", _as_it_is),
    "MemorySwap": ("memory-swap", _as_it_is),
    "OomScoreAdj": ("oom-score-adj", _as_it_is),
    "PidsLimit": ("pids-limit", _as_it_is),
    "ShmSize": ("shm-size", _as_it_is),
    "CapDrop": ("cap-drop", _each),
    "SecurityOpt": ("security-opt", _security),
    "Env": ("env", _each),
    "Labels": ("label", lambda labels: [f"{name}={text}" for name, text in labels.items()]),
    "RestartPolicy": ("restart", lambda policy: [policy["Name"]]),
    "LogConfig": ("log-driver", lambda config: [config["Type"]]),
    "CpuShares": ("cpu-shares", _as_it_is),
    "NanoCpus": ("cpus", lambda count: [f"{count / 1e9:g}"]),
    "Ulimits": ("ulimit", lambda limits: [f"{limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in limits]),
    "Tmpfs": ("tmpfs", lambda folders: [f"{path}:{options}" for path, options in folders.items()]),
    "Mounts": ("mount", lambda mounts: [_mount(mount) for mount in mounts]),
}
