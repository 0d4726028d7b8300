"""Docker's command line: the bare way to a container, which Glovebox is compared with."""

import shutil
import subprocess
from collections.abc import Sequence

from bench.errors import CannotMeasure

_TIMEOUT_S = 120


def docker(*arguments: str, stdin: str = "") -> str:
    """Run one docker command and return what it printed.

    Raises:
        CannotMeasure: there is no docker, or it failed.

    """
    if shutil.which("docker") is None:
        raise CannotMeasure("there is no 'docker' command on this host; './glovebox up' installs it")
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise CannotMeasure(f"'docker {arguments[0]}' failed: {done.stderr.strip()}")
    return done.stdout.strip()


def remove_containers(names: Sequence[str]) -> None:
    """Kill and remove containers; returns when they are gone."""
    if names:
        docker("rm", "--force", "--volumes", *names)


def containers_of(instance: str) -> list[str]:
    """Return the ids of all containers that bear an instance's label."""
    return containers_with("glovebox.instance", instance)


def containers_with(label: str, value: str) -> list[str]:
    """Return the ids of all containers that bear a label with this value."""
    return docker("ps", "--all", "--quiet", "--filter", f"label={label}={value}").split()
