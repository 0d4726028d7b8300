"""A second stack of Compose beside the user's own, as `./glovebox up` would start it, and a real browser."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.engine import ROOT, docker
from tests.stack import free_port

BROWSER = "/usr/bin/chromium"
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = ROOT / ".glovebox" / "screenshots"


@dataclass(frozen=True)
class Site:
    """A running stack: where its page and its API are, and how to speak to Compose about it."""

    page: str
    api: str
    instance: str
    environ: dict[str, str]

    def compose(self, *arguments: str) -> None:
        done = subprocess.run(
            ["docker", "compose", *arguments], cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    instance = f"gbpage-{uuid.uuid4().hex[:8]}"
    ports = free_port(), free_port()
    environ = dict(os.environ) | {
        "GLOVEBOX_INSTANCE": instance,
        "GLOVEBOX_PORT": str(ports[0]),
        "GLOVEBOX_UI_PORT": str(ports[1]),
        "GLOVEBOX_CONFIG": str(ROOT / "config.example.json"),
        "GLOVEBOX_BIND": "127.0.0.1",
        "OPENAI_API_KEY": "",
        "GLOVEBOX_TOKEN": "",
        "GLOVEBOX_DATA_VOLUME": f"{instance}-data",
        "GLOVEBOX_UI_HOSTS": "",
        "GLOVEBOX_UI_ROOT_PATH": "",
    }
    made = Site(f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[0]}", instance, environ)
    try:
        made.compose("up", "-d", "--wait", "--wait-timeout", "120")
        yield made
    finally:
        for name in ("orchestrator", "spawner", "ui"):
            log = subprocess.run(
                ["docker", "logs", f"{instance}-{name}-1"], capture_output=True, text=True, check=False
            )
            (ROOT / ".glovebox" / "log").mkdir(parents=True, exist_ok=True)
            (ROOT / ".glovebox" / "log" / f"browser-{name}.log").write_text(log.stdout + log.stderr)
        made.compose("down", "--volumes")
        for container in docker("ps", "-aq", "--filter", f"label=glovebox.instance={instance}").split():
            docker("rm", "-f", container)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=BROWSER_FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A fresh page; whatever it asks of another host than the site fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    foreign: list[str] = []
    local = (site.page, "data:", "blob:", "about:")
    opened.on("request", lambda request: None if request.url.startswith(local) else foreign.append(request.url))
    opened.goto(site.page)
    opened.locator("#prompt textarea").wait_for(timeout=60_000)
    yield opened
    context.close()
    assert foreign == []


@pytest.fixture
def breast_cancer(site: Site, tmp_path: Path) -> Path:
    """The real table that scikit-learn ships, out of the sandbox's image."""
    where = "/opt/python/lib/python3.13/site-packages/sklearn/datasets/data/breast_cancer.csv"
    text = docker("run", "--rm", "--network", "none", "--entrypoint", "cat", "glovebox-sandbox", where)
    path = tmp_path / "breast_cancer.csv"
    path.write_text(text + "\n")
    return path


def session_of(page: Page) -> str:
    """Return the id of the session that the page shows."""
    deadline = time.monotonic() + 20
    while "session=" not in page.url:
        assert time.monotonic() < deadline, page.url
        page.wait_for_timeout(100)
    return page.url.split("session=")[1].split("&")[0]


def api(site: Site) -> httpx2.Client:
    return httpx2.Client(base_url=site.api, timeout=60, trust_env=False)


def say(site: Site, content: str, session: str) -> None:
    """Say something in a session, and wait for the answer's end."""
    with (
        httpx2.Client(base_url=site.api, timeout=180, trust_env=False) as client,
        client.stream("POST", f"/v1/sessions/{session}/messages", json={"content": content}) as events,
    ):
        told = events.read().decode()
    assert "turn_finished" in told, told[-2000:]


def picture(page: Page, name: str) -> None:
    """Keep a screenshot to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
