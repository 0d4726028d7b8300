"""Pages of other sites in the user's browser (THREATS W1 to W4, W6, W9, W11, W12): nothing of ours is for them.

`localhost` is another site than `127.0.0.1`, and another port of `127.0.0.1` the same site but another origin: so two
attackers are at hand, and what our servers answered them is looked at from outside.
"""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Error, Page

from tests.browser.conftest import Site, api
from tests.browser.listener import Listener

# Each is a way in which a page asks another origin for something; it tells what it got to see.
ASKING = """async ([page, api]) => {
  const seen = [];
  const ask = async (name, asked) => { try { seen.push([name, await asked()]) } catch { seen.push([name, null]) } };
  const event = (target, ...names) => new Promise((told) => {
    for (const name of names) target.addEventListener(name, () => told(name));
  });
  const loading = (tag, attribute, url) => {
    const element = Object.assign(document.createElement(tag), { [attribute]: url });
    const told = event(element, 'load', 'error');
    document.body.append(element);
    return told;
  };
  const text = { method: 'POST', body: '{"name": "made by a foreign page"}' };
  const json = { ...text, headers: { 'content-type': 'application/json' } };
  for (const [who, base, path] of [['api', api, '/v1/sessions'], ['page', page, '/gradio_api/info']]) {
    await ask(who + ' read', () => fetch(base + path).then((answer) => answer.text()));
    await ask(who + ' read with cookies', () => fetch(base + path, { credentials: 'include' }).then((a) => a.text()));
    await ask(who + ' post', () => fetch(base + path, json).then((answer) => answer.text()));
    await ask(who + ' put', () => fetch(base + path, { ...json, method: 'PUT' }).then((answer) => answer.text()));
    await ask(who + ' script', async () => (await loading('script', 'src', base + path)) === 'load' || null);
    await ask(who + ' picture', async () => (await loading('img', 'src', base + path)) === 'load' || null);
    await ask(who + ' socket', async () => {
      const socket = new WebSocket(base.replace('http', 'ws') + path);
      return (await event(socket, 'open', 'error')) === 'open' || null;
    });
    await ask(who + ' events', async () => {
      const events = new EventSource(base + path);
      const told = await event(events, 'open', 'error');
      events.close();
      return told === 'open' || null;
    });
    // What these answer is hidden from the page; whether they did something is for the test to see.
    await fetch(base + path, { mode: 'no-cors' }).catch(() => null);
    await fetch(base + path, { mode: 'no-cors', ...text }).catch(() => null);
    navigator.sendBeacon(base + path, text.body);
    const frame = loading('iframe', 'src', base + '/');
    const form = Object.assign(document.createElement('form'), { action: base + path, method: 'post' });
    form.enctype = 'text/plain';
    form.target = Object.assign(document.createElement('iframe'), { name: who }).name;
    form.append(Object.assign(document.createElement('input'), { name: '{"name": "by a form', value: '"}' }));
    document.body.append(form, Object.assign(document.createElement('iframe'), { name: who }));
    form.submit();
    await frame;
  }
  return seen.filter(([, got]) => got !== null);
}"""
INERT = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "same-origin",
}
MARK = "new Image().src='{url}/artifact';document.title='canary'"
HTML = '<!doctype html><title>t</title><script>{mark}</script><img src=data:, onerror="{mark}">'
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title><script>{mark}</script></head></html>'
ARTIFACTS = {
    "page.html": HTML,
    "page.htm": HTML,
    "no-ending": HTML,
    "unknown.zzz": HTML,
    "text.txt": HTML,
    "table.csv": HTML,
    "page.xhtml": XHTML,
    "page.xml": XHTML,
    "page.svg": '<svg xmlns="http://www.w3.org/2000/svg"><script>{mark}</script></svg>',
    "page.mhtml": "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
    "Content-Type: text/html\r\n\r\n" + HTML + "\r\n--b--\r\n",
    "script.js": "{mark}",
    "paper.pdf": "%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.launchURL('{url}/artifact'))>>>>endobj\n",
}


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(params=["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def foreign(request: pytest.FixtureRequest, browser: Browser, listener: Listener) -> Iterator[Page]:
    listener.pages["attacker"] = "<!doctype html><title>attacker</title>"
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://{request.param}:{listener.port}/attacker")
    yield page
    context.close()


def test_w1_w2_w3_w9_a_page_of_another_site_gets_and_does_nothing(foreign: Page, site: Site) -> None:
    answers: list[tuple[str, str, int, list[str]]] = []
    ours = (site.page, site.api)
    foreign.on(
        "response",
        lambda response: (
            answers.append((response.request.method, response.url, response.status, [*response.headers]))
            if response.url.startswith(ours)
            else None
        ),
    )
    with api(site) as client:
        before = client.get("/v1/sessions").json()
        assert foreign.evaluate(ASKING, [site.page, site.api]) == []
        assert client.get("/v1/sessions").json() == before
    # A browser hides from us, too, what a page may not read; what its frames and forms were answered can be seen.
    assert {urlsplit(url).port for _, url, *_ in answers} == {urlsplit(base).port for base in ours}
    assert {(method, url) for method, url, status, _ in answers if status != 403} == set()
    assert [name for *_, names in answers for name in names if name.startswith("access-control-")] == []


def test_w1_a_link_of_another_site_opens_the_page_and_nothing_else_of_it(foreign: Page, site: Site) -> None:
    expected = {
        f"{site.page}/": 200,
        f"{site.page}/gradio_api/info": 403,
        f"{site.page}/files/s/page.html": 403,
        f"{site.api}/v1/sessions": 403,
    }
    statuses: dict[str, int] = {}
    foreign.context.on("response", lambda response: statuses.setdefault(response.url, response.status))
    for url in expected:
        with foreign.context.expect_page() as opened:
            foreign.evaluate("url => { open(url) }", url)
        opened.value.wait_for_url(url)
        opened.value.close()
    assert {url: statuses.get(url) for url in expected} == expected


@pytest.fixture(scope="module")
def artifacts(site: Site, listener: Listener) -> str:
    with api(site) as client:
        made = str(client.post("/v1/sessions", json={}).json()["id"])
        for name, content in ARTIFACTS.items():
            body = content.replace("{mark}", MARK).replace("{url}", listener.url)
            assert client.put(f"/v1/sessions/{made}/files/{name}", content=body.encode()).status_code == 201
    return made


def addresses(site: Site, session: str) -> list[str]:
    """Return where a session's files are, at the page and at the API."""
    return [f"{site.page}/files/{session}", f"{site.api}/v1/sessions/{session}/files"]


def test_w6_opening_an_artifact_by_its_address_saves_it_and_runs_nothing(
    browser: Browser, site: Site, listener: Listener, artifacts: str
) -> None:
    listener.hits.clear()
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    for folder in addresses(site, artifacts):
        for name in ARTIFACTS:
            with page.expect_download(), pytest.raises(Error, match="Download is starting"):
                page.goto(f"{folder}/{name}")
        with pytest.raises(Error):
            page.goto(f"{folder}/missing.html")
    context.close()
    assert listener.hits == []


@pytest.mark.parametrize("name", [*ARTIFACTS, "missing.html"])
def test_w6_w12_every_answer_about_an_artifact_is_inert(site: Site, artifacts: str, name: str) -> None:
    asked: list[dict[str, str]] = [
        {},
        {"Range": "bytes=0-3"},
        {"Range": "bytes=999999-"},
        {"Range": "bytes=" + ",".join(["0-0"] * 2000)},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Sat, 21 Nov 2099 00:00:00 GMT"},
    ]
    statuses = set()
    for folder in addresses(site, artifacts):
        for headers in asked:
            answer = httpx2.get(f"{folder}/{name}", headers=headers, timeout=60, trust_env=False)
            statuses.add(answer.status_code)
            for header, value in INERT.items():
                assert answer.headers[header].startswith(value), (folder, headers, answer.status_code)
            assert answer.headers["content-disposition"].startswith("attachment"), (folder, headers)
            assert len(answer.content) < 2000
    assert statuses <= ({404} if name == "missing.html" else {200, 206, 304, 416})


def test_w12_ten_thousand_ranges_get_one_answer_at_once(site: Site, artifacts: str) -> None:
    for folder in addresses(site, artifacts):
        ranges = {"Range": "bytes=" + ",".join(f"{at}-{at}" for at in range(10_000))}
        answer = httpx2.get(f"{folder}/page.html", headers=ranges, timeout=60, trust_env=False)
        # More than a server reads of headers, or more ranges than one: the whole, never ten thousand parts.
        assert answer.status_code in {200, 400, 431}
        assert len(answer.content) < 2000


HOSTS = [
    (b"GET / HTTP/1.1\r\nHost: %b\r\n", True),
    (b"GET / HTTP/1.1\r\nHost: LOCALHOST\r\n", True),
    (b"GET / HTTP/1.1\r\nHost: evil.com\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: evil.com:80\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: localhost.\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: localhost.evil.com\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: 2130706433\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: \r\n", False),
    (b"GET / HTTP/1.1\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: evil.com\r\nHost: localhost\r\n", False),
    (b"GET http://evil.com/ HTTP/1.1\r\nHost: evil.com\r\n", False),
    (b"GET http://localhost/ HTTP/1.1\r\nHost: evil.com\r\n", False),
    (b"GET / HTTP/1.0\r\n", False),
    (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.com\r\n"
     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", False),
    (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: null\r\n"
     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", False),
    (b"GET /ws HTTP/1.1\r\nHost: evil.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", False),
]  # fmt: skip


@pytest.mark.parametrize("who", ["page", "api"])
@pytest.mark.parametrize(("request_head", "comes_in"), HOSTS)
def test_w2_w4_only_our_own_names_are_answered_on_the_wire(
    site: Site, who: str, request_head: bytes, comes_in: bool
) -> None:
    address = urlsplit(site.page if who == "page" else site.api)
    head = request_head.replace(b"%b", address.netloc.encode())
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head + b"Connection: close\r\n\r\n" if b"Upgrade" not in head else head + b"\r\n")
        answer = connection.makefile("rb").readline()
    status = int(answer.split()[1])
    # The API has nothing at "/": 404 is an answer of its routes.
    assert status in ({200, 404} if comes_in else {400, 403, 421})
