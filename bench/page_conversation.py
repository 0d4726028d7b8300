"""A long conversation: how long it takes to open it in a page that is there, and how smoothly it scrolls.

The floor is a plain document with the same messages, styles and pictures, in the same browser.
"""

import json

from playwright.sync_api import Browser, Page

from bench.errors import WrongResult
from bench.figures import Bound, Comparison
from bench.page_loads import OURS, loaded, ready
from bench.page_material import MESSAGES, PICTURES, long_notebook
from bench.page_site import fresh_page
from bench.provider import Provider
from bench.rounds import Progress
from bench.stack import Stack

_ROUNDS, _QUICK_ROUNDS = 7, 2
_TIMEOUT_MS = 60_000
_NAME = "A long conversation"
# All messages are there, the last of them is in view, and so are the pictures around it.
_SHOWN = """
const all = () => {
  const messages = document.querySelectorAll('.gb-message');
  const place = document.querySelector('.gb-scroll') ?? document.documentElement;
  if (messages.length < MESSAGES || place.scrollHeight - place.scrollTop - place.clientHeight > 4) return false;
  return [...document.querySelectorAll('.gb-message img')].every((image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return bottom < 0 || top > innerHeight || (image.complete && image.naturalWidth);
  });
};
const shown = (then) => {
  if (!all()) return requestAnimationFrame(() => shown(then));
  requestAnimationFrame(() => requestAnimationFrame(() => then(performance.now())));
};
""".replace("MESSAGES", str(MESSAGES))
_OPEN = (
    f"(session) => new Promise((resolve) => {{ {_SHOWN}"
    "const began = performance.now();"
    "document.querySelector(`#sessions [data-id='${session}'] [data-act=choose]`).click();"
    "shown((at) => resolve(at - began)); })"
)
# What comes into view grows to its height, so the end moves; the page itself stays there by its own means.
_STATIC = (
    f"addEventListener('load', () => {{ {_SHOWN}"
    "const stay = () => { if (!window.readyAt) { scrollTo(0, 1e9); requestAnimationFrame(stay); } };"
    "stay(); shown((at) => { window.readyAt = at; }); })"
)
# Up, 400 px a frame: how long each frame took.
_SCROLL = """() => new Promise((resolve) => {
  const place = document.querySelector('.gb-scroll') ?? document.scrollingElement;
  const frames = [];
  let last = null;
  const step = (now) => {
    if (last !== null) frames.push(now - last);
    last = now;
    if (place.scrollTop <= 0 || frames.length === 80) return resolve(frames);
    place.scrollTop -= 400;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
# The page keeps its height and scrolls within; a document is as long as it is.
_UNFOLDED = "html, body, .gradio-container { display: block; height: auto; min-height: 0; overflow: visible; }"
_COPY = """() => [
  [...document.styleSheets].map((sheet) => [...sheet.cssRules].map((rule) => rule.cssText).join('\\n')).join('\\n'),
  document.querySelector('.gb-log').outerHTML,
  document.querySelector('.gradio-container').className,
]"""


def measure_conversation(
    stack: Stack, browser: Browser, url: str, provider: Provider, *, quick: bool
) -> list[Comparison]:
    """Measure `page_long_conversation` and `page_scroll_frame`."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    session = stack.api.import_notebook(long_notebook(), _NAME)
    opened: list[float] = []
    plain: list[float] = []
    frames: list[float] = []
    plain_frames: list[float] = []
    progress = Progress("page_long_conversation", rounds + 1)
    for number in range(rounds + 1):
        with fresh_page(browser, ready(OURS)) as page:
            loaded(page, url)
            page.locator(f"#sessions [data-id='{session}']").wait_for(state="attached", timeout=_TIMEOUT_MS)
            took = float(page.evaluate(_OPEN, session)) / 1000
            scrolled = page.evaluate(_SCROLL)
            _check(page)
            if not number:
                # The first round fills the caches of the servers.
                _keep_copy(page, provider)
        with fresh_page(browser, _STATIC) as page:
            floor, floor_scrolled = loaded(page, f"{provider.origin}/long"), page.evaluate(_SCROLL)
        if number:
            opened.append(took)
            plain.append(floor)
            frames += scrolled
            plain_frames += floor_scrolled
        progress.say_round()
    stack.api.delete_session(session)
    return [
        Comparison("page_long_conversation", "s", opened, plain, Bound("at_most", 2)),
        Comparison("page_scroll_frame", "ms", frames, plain_frames),
    ]


def _check(page: Page) -> None:
    messages, pictures = (page.locator(each).count() for each in (".gb-message", ".gb-message a.gb-picture img"))
    if (messages, pictures) != (MESSAGES, PICTURES):
        raise WrongResult(f"{messages} messages and {pictures} pictures are shown")


def _keep_copy(page: Page, provider: Provider) -> None:
    """Have the floor serve what the page shows, as a document by itself."""
    styles, log, classes = page.evaluate(_COPY)
    document = f"<!doctype html><meta charset=utf-8><style>{styles}\n{_UNFOLDED}</style>"
    document += f'<div class="{classes}">{log}</div>'
    provider.pages["/long"] = ("text/html; charset=utf-8", document.encode())
    for link in page.evaluate(
        "[...document.querySelectorAll('.gb-message img')].map((each) => each.getAttribute('src'))"
    ):
        content = page.evaluate(_FETCHED, link)
        provider.pages[f"/{link}"] = ("image/png", bytes(json.loads(content)))


_FETCHED = """async (link) => JSON.stringify([...new Uint8Array(await (await fetch(link)).arrayBuffer())])"""
