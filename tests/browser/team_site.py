"""A team's Glovebox as processes, with its page, for browsers to log in at."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.engine import ROOT
from tests.stack import Stack, free_port, stopping_stack, wait_for
from tests.team import Team


@dataclass(frozen=True)
class TeamSite:
    """Where the page and the API are, and the people."""

    page: str
    stack: Stack
    team: Team


@contextlib.contextmanager
def running_team_site(folder: Path, names: list[str], **how: Any) -> Iterator[TeamSite]:
    """Run a team's stack and its page."""
    port = free_port()
    with stopping_stack(Stack(folder, **how)) as stack, stack.client() as client:
        environ = dict(os.environ) | {"GLOVEBOX_API": stack.url, "GLOVEBOX_UI_PORT": str(port), "TMPDIR": str(folder)}
        for name in ("GLOVEBOX_TOKEN", "GLOVEBOX_BIND", "GLOVEBOX_UI_HOST", "GLOVEBOX_UI_HOSTS"):
            environ.pop(name, None)
        with (folder / "ui.log").open("ab") as log:
            page = subprocess.Popen([sys.executable, "-m", "ui"], cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: _answers(url), "the page")
            yield TeamSite(url, stack, Team(client, names))
        finally:
            page.terminate()
            page.wait(20)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
    return False
