"""The peers' own Python environment, made at first use and kept; nothing of it is in the project's lock."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.errors import CannotMeasure
from bench.progress import say

_REPOSITORY = Path(__file__).resolve().parent.parent
_REQUIREMENTS = _REPOSITORY / "bench" / "peers" / "requirements.txt"
_IN_IMAGE = _REPOSITORY / "bench" / "peers" / "gateway.txt"
_IMAGES_PYTHON = "3.13"  # sandbox_image's
_FOLDER = _REPOSITORY / ".glovebox" / "peers"
_INSTALL_S = 600
_REASON_CHARS = 300


def peers_python() -> Path:
    """Return the Python that has the peers, installing them where they are missing or of other versions.

    Raises:
        CannotMeasure: they cannot be installed; the text has pip's own words.

    """
    python, stamp = _FOLDER / "bin" / "python", _FOLDER / "installed.txt"
    wanted = _REQUIREMENTS.read_text()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing the peers into {_FOLDER.relative_to(_REPOSITORY)}")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(_FOLDER))
    _run(str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(_REQUIREMENTS))
    stamp.write_text(wanted)
    return python


def download_gateway(folder: Path) -> None:
    """Put Jupyter's kernel gateway, which no image of ours has, into a folder for the image's Python.

    Raises:
        CannotMeasure: it cannot be had; the text has pip's own words.

    """
    say("fetching the kernel gateway")
    _run(
        *(str(peers_python()), "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", str(_IN_IMAGE)),
        *("--target", str(folder), "--python-version", _IMAGES_PYTHON, "--only-binary=:all:"),
    )


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"the peers were not installed within {_INSTALL_S} s") from error
    if done.returncode != 0:
        raise CannotMeasure(f"the peers cannot be installed: {done.stderr.strip()[-_REASON_CHARS:]}")
