"""The Docker Engine, asked through its own command."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def docker(*arguments: str) -> str:
    """Run the docker command and return what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()
