"""The page beside the bench's Glovebox: its container as Compose would run it, and a real browser before it."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, Error, Page, sync_playwright

from bench.docker_cli import docker, remove_containers
from bench.errors import CannotMeasure
from bench.peers.ports import free_port
from bench.stack import Stack

CHROMIUM = Path(os.environ.get("GLOVEBOX_CHROMIUM", "/usr/bin/chromium"))
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_READY_S = 120.0
_VIEW = {"width": 1360, "height": 900}


@contextmanager
def running_page(stack: Stack) -> Iterator[str]:
    """Run the page's image with the walls and limits that Compose gives it; yield its address.

    Raises:
        CannotMeasure: there is no such image, or it does not answer.

    """
    port = free_port()
    environment = {"GLOVEBOX_API": stack.url, "GLOVEBOX_UI_HOST": "127.0.0.1", "GLOVEBOX_UI_PORT": str(port)}
    with _running(stack, f"http://127.0.0.1:{port}", "/healthz", environment) as url:
        yield url


@contextmanager
def running_empty_page(stack: Stack) -> Iterator[str]:
    """Run a Gradio page with one word on it in the same image: the least that a first load can cost with Gradio."""
    port = free_port()
    launched = f"demo.launch(server_name='127.0.0.1', server_port={port}, ssr_mode=False)"
    script = f"import gradio\nwith gradio.Blocks() as demo:\n gradio.Markdown('Empty', elem_id='empty')\n{launched}"
    with _running(stack, f"http://127.0.0.1:{port}", "/", {}, "python", "-c", script) as url:
        yield url


@contextmanager
def _running(stack: Stack, url: str, alive: str, environment: dict[str, str], *command: str) -> Iterator[str]:
    name = f"{stack.instance}-ui-{secrets.token_hex(4)}"
    docker(
        "run",
        "--detach",
        "--pull=never",
        f"--name={name}",
        f"--label=glovebox.instance={stack.instance}",
        # The bench's orchestrator listens on this host's loopback address alone.
        "--network=host",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges:true",
        "--memory=1g",
        "--pids-limit=256",
        "--volume=/tmp",
        *(f"--env={key}={value}" for key, value in environment.items()),
        f"glovebox-ui:{os.environ.get('GLOVEBOX_VERSION') or 'latest'}",
        *command,
    )
    try:
        _wait_until_it_answers(url + alive, name)
        yield url
    finally:
        remove_containers([name])


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a headless Chromium.

    Raises:
        CannotMeasure: there is none.

    """
    if not CHROMIUM.exists():
        raise CannotMeasure(f"there is no {CHROMIUM}: install Chromium, or name it in GLOVEBOX_CHROMIUM")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        except Error as error:
            raise CannotMeasure(f"Chromium does not start: {error}") from error
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def fresh_page(browser: Browser, script: str = "") -> Iterator[Page]:
    """Open a page that shares nothing with any other: no cache, no cookies. `script` runs first in each document."""
    context = browser.new_context(viewport=_VIEW)  # type: ignore[arg-type]
    try:
        if script:
            context.add_init_script(script)
        yield context.new_page()
    finally:
        context.close()


def _wait_until_it_answers(url: str, name: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        with suppress(httpx2.HTTPError):
            if httpx2.get(url, trust_env=False, timeout=5).is_success:
                return
        if time.monotonic() > deadline:
            raise CannotMeasure(f"the page does not answer:\n{docker('logs', '--tail=40', name)}")
        time.sleep(0.1)
