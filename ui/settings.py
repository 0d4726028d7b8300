"""What the environment says about how the page is run."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ui.places import read_prefix

# The page's names on its own host, and its service name in the compose network.
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "ui"})


@dataclass(frozen=True)
class Settings:
    """Where to listen, where the API is, and whom to answer."""

    host: str = "127.0.0.1"
    port: int = 7860
    api: str = "http://127.0.0.1:8000"
    token: str | None = None
    hosts: frozenset[str] = OWN_HOSTS
    reached_by_others: bool = False
    prefix: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ValueError: a number is none, or out of its range; the text names the variable.
        """
        more_hosts = environment.get("GLOVEBOX_UI_HOSTS", "").split(",")
        host = environment.get("GLOVEBOX_UI_HOST") or cls.host
        token = environment.get("GLOVEBOX_TOKEN") or None
        # In a container the page listens on all of *its* addresses; what counts is where the port is published.
        reachable_at = environment.get("GLOVEBOX_BIND") or host
        return cls(
            host=host,
            port=_number(environment, "GLOVEBOX_UI_PORT", cls.port, 65535),
            api=(environment.get("GLOVEBOX_API") or cls.api).rstrip("/"),
            token=token,
            reached_by_others=reachable_at not in _LOOPBACK,
            prefix=read_prefix(environment.get("GLOVEBOX_UI_ROOT_PATH", "")),
            hosts=OWN_HOSTS | {name.strip().lower() for name in more_hosts if name.strip()},
        )


def cache_folder() -> Path:
    """Return a folder for pictures and passing uploads that no other user of this host can have prepared."""
    folder = Path(tempfile.gettempdir()) / f"glovebox-ui-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        return Path(tempfile.mkdtemp(prefix="glovebox-ui-"))
    return folder


def _number(environment: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or not 0 < int(text) <= largest:
        raise ValueError(f"{name} is {text!r}; expected a whole number from 1 to {largest}.")
    return int(text)
