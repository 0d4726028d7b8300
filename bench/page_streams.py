"""From a piece of text in the provider's stream to its pixels, with three sessions that stream at once.

The text is the time, so the page itself can tell how late it shows it: both clocks are this host's. What is measured
begins a little before the orchestrator's event (see `provider_delay`), and ends a frame after the change.
"""

import json
from contextlib import ExitStack

from playwright.sync_api import Browser, Page

from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.page_loads import OURS, ready
from bench.page_site import fresh_page
from bench.progress import say
from bench.provider import LONG, LONG_CHUNKS, Provider
from bench.stack import Stack

SESSIONS = 3
_TURNS, _QUICK_TURNS = 4, 1
_TIMEOUT_MS = 60_000
_BOUND = Bound("p95_at_most", 100)
_WATCH = """
(() => {
  const seen = new Set();
  window.late = [];
  let fresh = [];
  const look = () => {
    const told = document.querySelectorAll('.gb-assistant .gb-said, #said');
    for (const [, time] of (told[told.length - 1]?.textContent ?? '').matchAll(/(\\d{10}\\.\\d{6})/g)) {
      if (!seen.has(time)) { seen.add(time); fresh.push(time); }
    }
    if (!fresh.length) return;
    const shown = fresh;
    fresh = [];
    // The first comes before the frame is painted, the second when it was.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const now = performance.timeOrigin + performance.now();
      for (const time of shown) window.late.push(now - Number(time) * 1000);
    }));
  };
  addEventListener('DOMContentLoaded', () => {
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
})();
"""
_FLOOR = """<!doctype html><title>floor</title><p id="said"></p><script>
window.begin = async () => {
  const body = JSON.stringify({ messages: [{ role: 'user', content: %s }] });
  const reader = (await fetch('/v1/chat/completions', { method: 'POST', body })).body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split('\\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue;
      document.querySelector('#said').append(JSON.parse(line.slice(6)).choices[0].delta.content ?? '');
    }
  }
};
</script>"""


def measure_streams(stack: Stack, browser: Browser, url: str, provider: Provider, *, quick: bool) -> list[Comparison]:
    """Measure `page_event_to_pixels`, beside a page that appends the provider's own stream to a paragraph."""
    provider.pages["/"] = ("text/html; charset=utf-8", (_FLOOR % json.dumps(LONG)).encode())
    ours: list[float] = []
    floors: list[float] = []
    turns = _QUICK_TURNS if quick else _TURNS
    sessions = [stack.api.make_session() for _ in range(SESSIONS)]
    for number in range(turns):
        say(f"page_event_to_pixels: turn {number + 1} of {turns}, {SESSIONS} sessions at once")
        ours += _glovebox(browser, url, sessions)
        floors += _floor(browser, provider)
    for session in sessions:
        stack.api.delete_session(session)
    notes = [f"{SESSIONS} pages in one browser on this host; {LONG_CHUNKS} pieces each, 50 a second"]
    return [Comparison("page_event_to_pixels", "ms", ours, floors, _BOUND, notes=notes)]


def _glovebox(browser: Browser, url: str, sessions: list[str]) -> list[float]:
    with ExitStack() as cleanup:
        pages = [cleanup.enter_context(fresh_page(browser, ready(OURS[::2]) + _WATCH)) for _ in sessions]
        for page, session in zip(pages, sessions, strict=True):
            page.goto(f"{url}/?session={session}")
            page.wait_for_function("window.readyAt", timeout=_TIMEOUT_MS)
        # What loads late must not be what is measured.
        pages[0].wait_for_timeout(1500)
        for page in pages:
            page.fill(OURS[0], LONG)
        for page in pages:
            page.press(OURS[0], "Enter")
        return _all_late(pages)


def _floor(browser: Browser, provider: Provider) -> list[float]:
    with ExitStack() as cleanup:
        pages = [cleanup.enter_context(fresh_page(browser, _WATCH)) for _ in range(SESSIONS)]
        for page in pages:
            page.goto(provider.origin)
        for page in pages:
            page.evaluate("() => { window.begin(); }")
        return _all_late(pages)


def _all_late(pages: list[Page]) -> list[float]:
    late: list[float] = []
    for page in pages:
        page.wait_for_function(f"window.late.length >= {LONG_CHUNKS}", timeout=_TIMEOUT_MS)
        late += page.evaluate("window.late")
    if len(late) != LONG_CHUNKS * len(pages):
        raise WrongResult(f"of {LONG_CHUNKS * len(pages)} pieces {len(late)} were shown")
    return late
