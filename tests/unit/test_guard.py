"""Who may come in: the table of hosts, origins, sites and tokens; and that WebSockets come by the same way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from orchestrator.api.guard import Guard, refusal
from orchestrator.errors import Forbidden, Unauthorized

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "glovebox.example.com"})
TOKEN = "0123456789abcdef"
READING = ["GET", "HEAD", "OPTIONS"]
CHANGING = ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET", "TRACE", "CONNECT", "get", ""]


def code_of(
    method: str = "GET",
    path: str = "/v1/me",
    token: str | None = None,
    host: str | None = "localhost:8000",
    **given: str,
) -> str | None:
    """Return the code with which a request is refused, or None."""
    headers = [(name.replace("_", "-"), value) for name, value in given.items()]
    headers += [] if host is None else [("host", host)]
    error = refusal(method, path, headers, HOSTS, token)
    return None if error is None else error.code


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "localhost:1",
        "LocalHost:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:8000",
        "glovebox.example.com",
        "GLOVEBOX.EXAMPLE.COM:443",
    ],
)
def test_the_hosts_of_this_server_come_in(host: str) -> None:
    for method in (*READING, "POST", "WEBSOCKET"):
        assert code_of(method, host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":8000",
        "evil.com",
        "evil.com:8000",
        "localhost.",
        "localhost.:8000",
        "localhost.evil.com",
        "evil.localhost",
        "notlocalhost",
        "localhost:",
        "localhost:80x",
        "localhost:-1",
        "localhost:8000:8000",
        "localhost: 8000",
        " localhost",
        "localhost\t",
        "localhost,evil.com",
        "localhost evil.com",
        "user@localhost",
        "http://localhost",
        "localhost/",
        "0.0.0.0",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.1",
        "127.0.0.1.nip.io",
        "::1",
        "[::1",
        "::1]",
        "[::1]]",
        "[::1]x:80",
        "[::1%25lo]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "169.254.169.254",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
def test_any_other_host_is_refused(host: str | None, method: str) -> None:
    assert code_of(method, host=host) == "wrong_host"
    assert code_of(method, "/healthz", host=host) == "wrong_host"
    assert code_of(method, token=TOKEN, host=host, authorization=f"Bearer {TOKEN}") == "wrong_host"


@pytest.mark.parametrize(
    "hosts", [["localhost", "evil.com"], ["evil.com", "localhost"], ["localhost", "localhost"], []]
)
def test_anything_but_one_host_header_is_refused(hosts: list[str]) -> None:
    error = refusal("GET", "/", [("host", host) for host in hosts], HOSTS, None)
    assert error is not None and error.code == "wrong_host"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("localhost", "http://localhost"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("glovebox.example.com", "https://glovebox.example.com"),  # TLS ends before us, so both schemes are our own
        ("glovebox.example.com", "http://glovebox.example.com"),
    ],
)
@pytest.mark.parametrize("method", [*READING, *CHANGING])
def test_the_own_origin_comes_in(method: str, host: str, origin: str) -> None:
    assert code_of(method, host=host, origin=origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "http://evil.com:8000",
        "http://localhost.evil.com",
        "http://localhost.evil.com:8000",
        "http://localhost:8000.evil.com",
        "http://evil.com/localhost:8000",
        "http://evil.com#localhost:8000",
        "http://evil.com?localhost:8000",
        "http://evil.com\\@localhost:8000",
        "http://evil@localhost:8000",
        "http://localhost:8000@evil.com",
        "http://localhost",
        "http://localhost:80",
        "http://localhost:8001",
        "http://localhost:80001",
        "http://localhost:8000/",
        "http://localhost:8000/path",
        "http://localhost:8000 ",
        "http://local\thost:8000",
        "http://127.0.0.1:8000",
        "ftp://localhost:8000",
        "chrome-extension://localhost:8000",
        "//localhost:8000",
        "localhost:8000",
        "http:localhost:8000",
        "null",
        "",
        "*",
        "file://",
        "http://[",
        "http://[::1",
        "http://\x80",
        "http://localhost:8000, http://evil.com",
    ],
)
def test_a_foreign_origin_may_read_but_change_nothing(origin: str) -> None:
    for method in CHANGING:
        assert code_of(method, origin=origin) == "wrong_origin"
        assert code_of(method, token=TOKEN, origin=origin, authorization=f"Bearer {TOKEN}") == "wrong_origin"
    for method in READING:
        assert code_of(method, origin=origin) is None


@pytest.mark.parametrize(
    ("site", "may_change"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
        ("Same-Origin", False),
    ],
)
def test_only_this_site_itself_may_change_something(site: str, may_change: bool) -> None:
    for method in CHANGING:
        assert (code_of(method, sec_fetch_site=site) is None) == may_change
        own = code_of(method, sec_fetch_site=site, origin="http://localhost:8000")
        assert (own is None) == may_change
        assert code_of(method, sec_fetch_site=site, origin="http://evil.com") == "wrong_origin"
    for method in READING:
        assert code_of(method, sec_fetch_site=site) is None


@pytest.mark.parametrize("method", CHANGING)
def test_a_client_that_is_no_browser_says_no_origin_and_comes_in(method: str) -> None:
    assert code_of(method) is None


@pytest.mark.parametrize("name", ["origin", "sec-fetch-site"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_second_header_cannot_hide_a_foreign_first_one(name: str, order: int) -> None:
    values = {"origin": ["http://evil.com", "http://localhost:8000"], "sec-fetch-site": ["cross-site", "none"]}[name]
    headers = [("host", "localhost:8000"), *((name, value) for value in values[::order])]
    error = refusal("POST", "/", headers, HOSTS, None)
    assert error is not None and error.code == "wrong_origin"


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
@pytest.mark.parametrize("method", [*READING, *CHANGING])
def test_the_token_comes_in(method: str, given: str) -> None:
    assert code_of(method, token=TOKEN, authorization=given) is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Bearer{TOKEN}",
        f"Bearer\t{TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        f"token {TOKEN}",
        f"Bearer é{TOKEN}",
        f'Bearer "{TOKEN}"',
    ],
)
@pytest.mark.parametrize("method", [*READING, "POST", "WEBSOCKET"])
def test_any_other_token_is_refused(method: str, given: str) -> None:
    assert code_of(method, token=TOKEN, authorization=given) == "unauthorized"
    assert code_of(method, token=TOKEN) == "unauthorized"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1", "/healthz/", "/healthz/x", "//healthz", "/HEALTHZ"]
)
def test_every_path_but_the_health_checks_needs_the_token(path: str) -> None:
    assert code_of(path=path, token=TOKEN) == "unauthorized"
    assert [code_of(path=open_path, token=TOKEN) for open_path in ("/healthz", "/readyz")] == [None, None]


@given(
    st.text(st.characters(max_codepoint=255)),
    st.text(st.characters(max_codepoint=255)),
    st.sampled_from(["GET", "POST"]),
)
def test_no_header_makes_the_guard_fail_or_lets_a_foreigner_in(host: str, value: str, method: str) -> None:
    headers = [("host", host), ("origin", value), ("sec-fetch-site", value), ("authorization", value)]
    error = refusal(method, "/", headers, HOSTS, TOKEN)
    assert isinstance(error, Forbidden | Unauthorized)


def guarded(token: str | None) -> TestClient:
    """Make a small app behind the guard."""

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("in")

    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", page, methods=methods), WebSocketRoute("/{path:path}", socket)])
    return TestClient(Guard(app, token, ["Glovebox.Example.com"]), base_url="http://localhost:8000")


def test_what_is_refused_is_told_as_a_problem() -> None:
    client = guarded(TOKEN)
    answer = client.get("/v1/me")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["code"] == "unauthorized"
    answer = client.get("/v1/me", headers={"host": "evil.com"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_host")
    assert "www-authenticate" not in answer.headers
    assert TOKEN not in answer.text


def test_what_is_allowed_is_passed_on() -> None:
    client = guarded(TOKEN)
    assert client.get("/x", headers={"authorization": f"Bearer {TOKEN}"}).text == "in"
    assert client.get("/healthz").text == "in"
    assert guarded(None).post("/x", headers={"host": "glovebox.example.com"}).text == "in"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthorized"),
        ({"authorization": f"Bearer {TOKEN}", "host": "evil.com"}, "wrong_host"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://evil.com"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "null"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "sec-fetch-site": "cross-site"}, "wrong_origin"),
    ],
)
def test_a_websocket_is_refused_before_it_is_accepted(headers: dict[str, str], code: str) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        guarded(TOKEN).websocket_connect("ws://localhost:8000/v1/x", headers=headers),
    ):
        pass
    assert (refused.value.code, refused.value.reason) == (1008, code)


def test_a_websocket_with_token_and_own_origin_comes_in() -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    with guarded(TOKEN).websocket_connect("ws://localhost:8000/v1/x", headers=headers) as socket:
        assert socket.receive_text() == "in"


async def test_the_lifespan_is_passed_on() -> None:
    seen = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is to be sent")

    await Guard(app, TOKEN)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
