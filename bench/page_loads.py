"""How long a browser takes until the page can be used, beside the same with an empty page of Gradio's."""

import json
from collections.abc import Sequence

from playwright.sync_api import Browser, Page

from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.page_site import fresh_page
from bench.rounds import Progress

ROUNDS, QUICK_ROUNDS = 7, 3
_TIMEOUT_MS = 60_000
# What must be there: the box to type into, what can be asked, and what only the service knows, the models.
OURS = ("#prompt textarea", ".gb-welcome", "#model input")
EMPTY = ("#empty p",)
_READY = """
(() => {
  const wanted = %s;
  const look = () => {
    if (!wanted.every((each) => document.querySelector(each))) return requestAnimationFrame(look);
    // The frame that shows it all is over when the next one begins.
    requestAnimationFrame(() => requestAnimationFrame(() => { window.readyAt = performance.now(); }));
  };
  look();
})();
"""


def measure_loads(browser: Browser, ours: str, empty: str, *, quick: bool) -> list[Comparison]:
    """Measure `page_first_load` with nothing in the browser's cache, and `page_next_load` with what that left there."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    progress = Progress("page_first_load", rounds + 1)
    cold: dict[str, list[float]] = {ours: [], empty: []}
    warm: dict[str, list[float]] = {ours: [], empty: []}
    for number in range(rounds + 1):
        for url, wanted in ((ours, OURS), (empty, EMPTY)):
            with fresh_page(browser, ready(wanted)) as page:
                first, second = loaded(page, url), loaded(page, url)
            # The first round fills the caches of the servers.
            cold[url] += [first] if number else []
            warm[url] += [second] if number else []
        progress.say_round()
    notes = [_asked_for(browser, ours, OURS)]
    return [
        Comparison("page_first_load", "s", cold[ours], cold[empty], Bound("at_most", 3), notes=notes),
        Comparison("page_next_load", "s", warm[ours], warm[empty]),
    ]


def ready(wanted: Sequence[str]) -> str:
    """Return the script that notes when all of this is on the page, and painted."""
    return _READY % json.dumps(wanted)


def loaded(page: Page, url: str) -> float:
    """Load a page, and return how many seconds it took until it was ready."""
    page.goto(url)
    page.wait_for_function("window.readyAt", timeout=_TIMEOUT_MS)
    # The cache takes a moment to keep what came last.
    page.wait_for_timeout(300)
    return float(page.evaluate("window.readyAt")) / 1000


def _asked_for(browser: Browser, url: str, wanted: Sequence[str]) -> str:
    """Return how many requests a first load makes, and how many bytes it gets."""
    with fresh_page(browser, ready(wanted)) as page:
        loaded(page, url)
        sizes = page.evaluate("performance.getEntries().map((each) => each.transferSize ?? -1).filter((it) => it >= 0)")
    if not sizes:
        raise WrongResult("the browser tells of no request")
    return f"{len(sizes)} requests, {sum(sizes) // 1024} KiB"
