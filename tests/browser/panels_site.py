"""The page as a process before a stand-in of the API, which needs no containers; and beneath a proxy's prefix."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.browser.prefix_proxy import PREFIX
from tests.engine import ROOT
from tests.stack import free_port, wait_for


@contextlib.contextmanager
def running_fake_api(folder: Path) -> Iterator[str]:
    """Run the stand-in of the API."""
    port = free_port()
    command = ["-m", "uvicorn", "--port", str(port), "--log-level", "warning", "tests.unit.fake_api:app"]
    with _running(folder / "api.log", command, {"FAKE_PACE": "0.005"}):
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/v1/me"), "the stand-in of the API")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running_page(folder: Path, api: str, prefix: str = "") -> Iterator[str]:
    """Run the page before an API."""
    port = free_port()
    environ = {"GLOVEBOX_API": api, "GLOVEBOX_UI_PORT": str(port), "GLOVEBOX_UI_ROOT_PATH": prefix}
    with _running(folder / f"ui-{port}.log", ["-m", "ui"], environ | {"TMPDIR": str(folder)}):
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/healthz"), "the page")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running_proxy(folder: Path, page: str) -> Iterator[str]:
    """Run a proxy that has the page beneath a prefix; returns where a browser finds it."""
    port = free_port()
    command = ["-m", "uvicorn", "--port", str(port), "--log-level", "warning", "tests.browser.prefix_proxy:app"]
    with _running(folder / "proxy.log", command, {"PREFIX_TARGET": page}):
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}{PREFIX}/healthz"), "the proxy")
        yield f"http://127.0.0.1:{port}{PREFIX}/"


@contextlib.contextmanager
def _running(log: Path, arguments: list[str], more: dict[str, str]) -> Iterator[None]:
    environ = dict(os.environ) | more
    for name in ("GLOVEBOX_TOKEN", "GLOVEBOX_BIND", "GLOVEBOX_UI_HOST", "GLOVEBOX_UI_HOSTS"):
        environ.pop(name, None)
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environ, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(url, timeout=5, trust_env=False).status_code == 200
    return False
