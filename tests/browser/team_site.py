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
from tests.issuer import CLIENT, CLIENT_SECRET, Issuer
from tests.stack import Stack, free_port, stopping_stack, wait_for
from tests.team import PASSWORD, Team


@dataclass(frozen=True)
class TeamSite:
    """Where the page and the API are, and the people."""

    page: str
    stack: Stack
    team: Team


@contextlib.contextmanager
def running_team_site(folder: Path, names: list[str], issuer: Issuer) -> Iterator[TeamSite]:
    """Run a team's stack and its page, with a provider of single sign-on."""
    port = free_port()
    oidc: dict[str, Any] = {"issuer": issuer.url, "client_id": CLIENT, "client_secret_env": "OIDC_SECRET"}
    oidc |= {"new_people": True, "allowed_domains": ["example.com"]}
    # Another site than the provider's, as it would be: that is what cookies go by.
    oidc["redirect_uri"] = f"http://localhost:{port}/login/callback"
    config = {"people": {"mode": "team", "oidc": oidc}}
    secrets = {"OIDC_SECRET": CLIENT_SECRET, "GLOVEBOX_ADMIN_PASSWORD": PASSWORD}
    with stopping_stack(Stack(folder, config, secrets)) as stack, stack.client() as client:
        environ = dict(os.environ) | {"GLOVEBOX_API": stack.url, "GLOVEBOX_UI_PORT": str(port), "TMPDIR": str(folder)}
        for name in ("GLOVEBOX_TOKEN", "GLOVEBOX_BIND", "GLOVEBOX_UI_HOST", "GLOVEBOX_UI_HOSTS"):
            environ.pop(name, None)
        with (folder / "ui.log").open("ab") as log:
            page = subprocess.Popen([sys.executable, "-m", "ui"], cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            url = f"http://localhost:{port}"
            wait_for(lambda: _answers(url), "the page")
            yield TeamSite(url, stack, Team(client, names))
        finally:
            page.terminate()
            page.wait(20)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
    return False
