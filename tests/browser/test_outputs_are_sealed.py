"""Hostile outputs in a real browser (THREATS W5, F5): nothing runs, nothing is asked of anybody, nothing leads away.

The oracle stands outside: a listener that must not be reached, and a mark in the page that only a script of an output
could set. The same cases in a page without a policy must reach it, each of them.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Frame, Page, expect

from tests.browser.conftest import Site, api, picture, say
from tests.browser.hostile import charts, figures, html_cases, latex, markdown, svg
from tests.browser.listener import Listener

SLOW = 60_000
PLOTLY = "application/vnd.plotly.v1+json"
# Elements that load or lead by being there; some of what they do (a name looked up) is not seen at the listener.
NEVER = "link, base, meta[http-equiv], script[src], iframe, object, embed, template"
# HTML is there when our scripts have run, a chart when it is drawn or said to be none.
SHOWN = (
    "document.readyState === 'complete' && "
    "(typeof Plotly === 'undefined' || document.querySelector('.main-svg, .gb-note') !== null) && "
    "(typeof vegaEmbed === 'undefined' || document.querySelector('.marks, .gb-note') !== null)"
)
NAME = "<img src=x onerror=top.canary=1>.csv"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@dataclass
class Watched:
    """A page, and what happened to it that must not."""

    page: Page
    happened: list[str] = field(default_factory=list)


def watched(context: BrowserContext) -> Watched:
    found = Watched(context.new_page())
    found.page.on("dialog", lambda dialog: (found.happened.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    found.page.on("popup", lambda popup: found.happened.append(f"popup: {popup.url}"))
    found.page.on("download", lambda download: found.happened.append(f"download: {download.url}"))
    return found


@pytest.fixture(scope="module")
def session(site: Site, listener: Listener) -> str:
    """A session in which hostile code displayed, printed, raised and wrote all that it could."""
    html = [
        {"text/html": case, "text/plain": "<Output>"} for case in html_cases(listener.url, listener.udp_port).values()
    ]
    cell = f"{svg(listener.url)} ![x]({listener.url}/table) [js](javascript:top.canary=1)"
    table = f"<table><tr><th>{cell}</th></tr><tr><td>{cell}</td></tr></table>"
    others: list[dict[str, object]] = [{PLOTLY: figure, "text/plain": "Figure()"} for figure in figures(listener.url)]
    others += charts(listener.url)
    others += [
        {"image/svg+xml": svg(listener.url)},
        {"text/markdown": markdown(listener.url), "text/plain": "<Markdown>"},
        {"text/latex": latex(listener.url), "text/plain": "<Latex>"},
        {"application/javascript": "top.canary=1", "text/plain": "<script>top.canary=1</script>"},
        {"text/html": table},
        {"image/png": "PHNjcmlwdD50b3AuY2FuYXJ5PTE8L3NjcmlwdD4="},
    ]
    printed = f"\x1b]8;;javascript:top.canary=1\x07link\x1b]8;;\x07 \x1b[31m{markdown(listener.url)}"
    # The demo model quotes what a cell printed, in a fence that this ends: what follows is the model's own Markdown.
    quoted = f"```\n![x]({listener.url}/said) <img src={listener.url}/said-img> [go]({listener.url}/go)"
    last = f"print({printed!r})\nopen({NAME!r}, 'w').write('=1+1')\nraise ValueError({markdown(listener.url)!r})"
    cells = [showing(html), f"print({quoted!r})", f"{showing(others)}\n{last}"]
    name = f"<img src={listener.url}/title onerror=top.canary=1>"
    with api(site) as client:
        made = str(client.post("/v1/sessions", json={"name": name}).json()["id"])
        for number, code in enumerate(cells):
            assert client.put(f"/v1/sessions/{made}/files/{number}.py", content=code.encode()).status_code == 201
    for number in range(len(cells)):
        say(site, f"demo:run exec(open('{number}.py').read())", made)
    return made


def showing(bundles: list[dict[str, object]]) -> str:
    code = "import json\nfrom IPython.display import display\nfor data in json.loads({text!r}): display(data, raw=True)"
    return code.format(text=json.dumps(bundles))


def click_all(frames: list[Frame]) -> None:
    """Click, as a person would, what the outputs offer."""
    for frame in frames:
        for target in frame.locator("#go, .main-svg a, .marks [href], .marks path").all():
            try:
                target.click(timeout=1500, force=True, no_wait_after=True)
            except Error:
                continue  # out of sight, or not there any more: then a person cannot, either


def test_w5_f5_no_output_runs_asks_or_leads_anywhere(
    browser: Browser, site: Site, listener: Listener, session: str
) -> None:
    listener.hits.clear()
    context = browser.new_context(viewport={"width": 1360, "height": 2000})
    seen = watched(context)
    address = f"{site.page}/?session={session}"
    seen.page.goto(address)
    count = len(html_cases("", 0)) + len(figures("")) + len(charts("")) + 1  # and a table
    expect(seen.page.locator("iframe.gb-frame")).to_have_count(count, timeout=SLOW)
    # They are loaded when they come into sight; here all at once.
    seen.page.evaluate("document.querySelectorAll('iframe.gb-frame').forEach(frame => { frame.loading = 'eager' })")
    frames = loaded(seen.page, count)
    click_all(frames)
    seen.page.wait_for_timeout(1500)
    picture(seen.page, "hostile-outputs")
    assert seen.page.url == address
    assert seen.page.evaluate("window.canary") is None
    for frame in frames:
        found = frame.evaluate("[origin, window.canary === undefined, window.frames.length]")
        assert found == ["null", True, 0], frame.url
        # By its prototype: an output can give elements the names of the document's own methods.
        never = f"Document.prototype.querySelectorAll.call(document, {json.dumps(NEVER)})"
        assert frame.evaluate(f"{never}.length") == 0, frame.url
    shown = seen.page.locator("#conversation").inner_text()
    texts = (
        "Array.from(Document.prototype.querySelectorAll.call(document, '.gb-note'), one => one.textContent).join(' ')"
    )
    notes = " ".join(frame.evaluate(texts) for frame in frames)
    cookies = context.cookies()
    context.close()
    assert cookies == seen.happened == listener.hits == []
    assert "asks for something at another address" in notes and f"{listener.url}/vega-data" in notes
    # It was all there, as text.
    for text in (NAME, "<script>top.canary=1</script>", "ValueError"):
        assert text in shown


def test_the_same_outputs_in_a_page_without_a_policy_reach_the_listener(browser: Browser, listener: Listener) -> None:
    listener.hits.clear()
    cases = html_cases(listener.url, listener.udp_port)
    listener.pages = {f"case/{name}": f"<!doctype html><body>{html}" for name, html in cases.items()}
    alone = {name for name, html in cases.items() if "id=go" in html} | {"leads-itself", "meta-refresh", "alert"}
    framed = "".join(f'<iframe src="/case/{name}"></iframe>' for name in cases if name not in alone)
    listener.pages["control"] = f"<!doctype html><title>control</title>{framed}"
    context = browser.new_context()
    seen = watched(context)
    seen.page.goto(f"{listener.url}/control")
    assert seen.page.evaluate("window.canary") == 1
    awaited(seen.page, listener, set(cases) - alone - {"webrtc"} | {"datagram", "connection"})
    happened = set()
    for name in sorted(alone):
        alone_there = watched(context)
        alone_there.page.goto(f"{listener.url}/case/{name}", wait_until="commit")
        if "id=go" in cases[name]:
            alone_there.page.locator("#go").first.click(no_wait_after=True)
        awaited(seen.page, listener, {name})
        if name in {"alert", "link-blank"}:
            awaited_event(seen.page, alone_there, name)
        happened |= {each.partition(":")[0] for each in alone_there.happened}
        # The context closes it: a page that is closed on its way elsewhere may never say that it was.
    context.close()
    assert happened == {"dialog", "popup"}


def loaded(page: Page, count: int) -> list[Frame]:
    """Wait until every frame shows its output, and return them."""
    deadline = time.monotonic() + 120
    while True:
        frames = [frame for frame in page.frames[1:] if "/frames/" in frame.url]
        if len(frames) == count and all(frame.evaluate(SHOWN) for frame in frames):
            return frames
        assert time.monotonic() < deadline, f"{len(frames)} of {count} frames"
        page.wait_for_timeout(200)


def awaited_event(page: Page, watch: Watched, name: str) -> None:
    deadline = time.monotonic() + 30
    while not watch.happened:
        assert time.monotonic() < deadline, f"nothing came of {name}"
        page.wait_for_timeout(50)


def awaited(page: Page, listener: Listener, names: set[str]) -> None:
    deadline = time.monotonic() + 30
    while missing := names - set(listener.hits):
        assert time.monotonic() < deadline, f"never asked for: {missing}"
        page.wait_for_timeout(50)
