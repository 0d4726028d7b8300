"""The posture of a sandbox beside the one that was looked at and accepted, one file for each runtime.

What is in nobody's golden list fails; look at it, and accept it with

    GLOVEBOX_ACCEPT_POSTURE=1 .venv/bin/pytest tests/security/test_golden_posture.py

`elsewhere.json` is kept by hand: what other kernels and engines have, and a container without the gateway.
"""

import json
import os
import re
from pathlib import Path

from orchestrator.spawner.container import MASKED_PATHS

Posture = dict[str, list[str]]
FOLDER = Path(__file__).with_name("golden")
_THREADS = re.compile(r"(?<=_THREADS)=\d+|(?<=_CPU_COUNT)=\d+")
ACCEPTING = bool(os.environ.get("GLOVEBOX_ACCEPT_POSTURE"))
# These do not depend on the host: nothing of them may be missing, either.
OURS = ("identity", "environment", "limits", "processes", "cgroup", "names", "tree", "interfaces")


def comparable(found: Posture) -> Posture:
    """Return what was found without the number of CPUs that the profile gives."""
    return {subject: [_THREADS.sub("=its CPUs", entry) for entry in entries] for subject, entries in found.items()}


def accepted(runtime: str) -> Posture:
    """Return what is accepted of a sandbox with this runtime, on any host."""
    golden, elsewhere = read(runtime), read("elsewhere")
    masks = [f"{path} {rest}" for path in MASKED_PATHS for rest in mask_entries()]
    return {subject: entries + elsewhere.get(subject, []) for subject, entries in golden.items()} | {
        "mounts": golden["mounts"] + elsewhere["mounts"] + masks
    }


def mask_entries() -> list[str]:
    """Return what the mount over a masked path looks like: an empty folder, or the null device over a file."""
    may = ("may write", "may execute", "may change who runs", "may hold devices")
    return ["tmpfs", "devtmpfs", "size=65536k", "without nr_inodes=", *may]


def differences(runtime: str, found: Posture) -> Posture:
    """Return what was found that nobody accepted, by subject."""
    known = accepted(runtime)
    new = {
        subject: sorted(set(entries) - set(known.get(subject, []))) for subject, entries in comparable(found).items()
    }
    return {subject: entries for subject, entries in new.items() if entries}


def absences(runtime: str, found: Posture) -> Posture:
    """Return what should have been found, of the subjects that are the same on every host."""
    golden, found = read(runtime), comparable(found)
    gone = {subject: sorted(set(golden[subject]) - set(found.get(subject, []))) for subject in OURS}
    return {subject: entries for subject, entries in gone.items() if entries}


def accept(runtime: str, found: Posture) -> None:
    """Make this posture the golden one. What came from the masks is left out: it follows from the settings."""
    kept = [entry for entry in found["mounts"] if entry.split()[0] not in MASKED_PATHS]
    (FOLDER / f"{runtime}.json").write_text(json.dumps(comparable(found) | {"mounts": kept}, indent=1) + "\n")


def read(name: str) -> Posture:
    posture: Posture = json.loads((FOLDER / f"{name}.json").read_text())
    return posture
