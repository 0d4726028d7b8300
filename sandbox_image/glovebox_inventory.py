"""The packages of this image, those that somebody chose: printed as JSON, `{"numpy": "2.4.1", …}`."""

import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHOSEN = Path("/opt/glovebox/requirements.in")
NOT_FOR_CELLS = frozenset({"ipykernel", "pyzmq", "cloudpickle", "nbclient"})
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def inventory(chosen: Path = CHOSEN) -> dict[str, str]:
    """Return names and versions of what was chosen and is there."""
    found = {}
    for line in chosen.read_text().splitlines():
        name = _NAME.match(line)
        if name is None or name.group() in NOT_FOR_CELLS:
            continue
        try:
            found[name.group()] = version(name.group())
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    print(json.dumps(inventory()))  # noqa: T201
