"""Who may come in (THREATS W1 to W4): the table of hosts, origins, sites and tokens; WebSockets come the same way."""

import asyncio
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

from orchestrator.api.guard import SECURITY_HEADERS, Guard
from orchestrator.api.identity import OnePerson
from orchestrator.errors import Forbidden, GloveboxError, Unauthorized

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "glovebox.example.com"})
TOKEN = "0123456789abcdef"
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get"]


def refusal(path: str, headers: list[tuple[str, str]], token: str | None) -> GloveboxError | None:
    """Return why a request is refused, or None."""
    nothing: Any = None
    try:
        asyncio.run(Guard(nothing, OnePerson(token), HOSTS).admit(path, headers))
    except GloveboxError as error:
        return error
    return None


def code_of(
    path: str = "/v1/me",
    token: str | None = None,
    host: str | None = "localhost:8000",
    **given: str,
) -> str | None:
    """Return the code with which a request is refused, or None."""
    headers = [(name.replace("_", "-"), value) for name, value in given.items()]
    headers += [] if host is None else [("host", host)]
    error = refusal(path, headers, token)
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
    assert code_of(host=host) is None


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
def test_any_other_host_is_refused(host: str | None) -> None:
    assert code_of(host=host) == "wrong_host"
    assert code_of("/healthz", host=host) == "wrong_host"
    assert code_of(token=TOKEN, host=host, authorization=f"Bearer {TOKEN}") == "wrong_host"
    assert code_of(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") == "wrong_host"


@pytest.mark.parametrize(
    "hosts", [["localhost", "evil.com"], ["evil.com", "localhost"], ["localhost", "localhost"], []]
)
def test_anything_but_one_host_header_is_refused(hosts: list[str]) -> None:
    error = refusal("/", [("host", host) for host in hosts], None)
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
def test_the_own_origin_comes_in(host: str, origin: str) -> None:
    assert code_of(host=host, origin=origin) is None
    assert code_of(host=host, origin=origin, sec_fetch_site="same-origin") is None


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
@pytest.mark.parametrize("path", ["/v1/me", "/healthz", "/openapi.json"])
def test_a_foreign_origin_may_do_nothing_not_even_look(origin: str, path: str) -> None:
    assert code_of(path, origin=origin) == "wrong_origin"
    assert code_of(path, origin=origin, sec_fetch_site="same-origin") == "wrong_origin"
    assert code_of(path, token=TOKEN, origin=origin, authorization=f"Bearer {TOKEN}") == "wrong_origin"


@pytest.mark.parametrize(
    ("site", "comes_in"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
        ("Same-Origin", False),
    ],
)
@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate", "websocket", "same-origin", None])
def test_only_this_site_itself_and_the_address_bar_come_in(site: str, comes_in: bool, mode: str | None) -> None:
    given = {"sec_fetch_site": site} | ({"sec_fetch_mode": mode} if mode else {})
    assert (code_of(**given) is None) == comes_in
    assert (code_of(**given, origin="http://localhost:8000") is None) == comes_in
    assert code_of(**given, origin="http://evil.com") == "wrong_origin"
    assert (code_of(**given, token=TOKEN, authorization=f"Bearer {TOKEN}") is None) == comes_in


def test_a_client_that_is_no_browser_says_no_origin_and_comes_in() -> None:
    assert code_of() is None


@pytest.mark.parametrize("name", ["origin", "sec-fetch-site"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_second_header_cannot_hide_a_foreign_first_one(name: str, order: int) -> None:
    values = {"origin": ["http://evil.com", "http://localhost:8000"], "sec-fetch-site": ["cross-site", "none"]}[name]
    headers = [("host", "localhost:8000"), *((name, value) for value in values[::order])]
    error = refusal("/", headers, None)
    assert error is not None and error.code == "wrong_origin"


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_token_comes_in(given: str) -> None:
    assert code_of(token=TOKEN, authorization=given) is None


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
def test_any_other_token_is_refused(given: str) -> None:
    assert code_of(token=TOKEN, authorization=given) == "unauthorized"
    assert code_of(token=TOKEN) == "unauthorized"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1", "/healthz/", "/healthz/x", "//healthz", "/HEALTHZ"]
)
def test_every_path_but_the_health_checks_needs_the_token(path: str) -> None:
    assert code_of(path=path, token=TOKEN) == "unauthorized"
    assert [code_of(path=open_path, token=TOKEN) for open_path in ("/healthz", "/readyz", "/v1/login")] == [None] * 3


@given(
    st.text(st.characters(max_codepoint=255)),
    st.text(st.characters(max_codepoint=255)),
)
def test_no_header_makes_the_guard_fail_or_lets_a_foreigner_in(host: str, value: str) -> None:
    headers = [("host", host), ("origin", value), ("sec-fetch-site", value), ("authorization", value)]
    error = refusal("/", headers, TOKEN)
    assert isinstance(error, Forbidden | Unauthorized)


def guarded(token: str | None) -> TestClient:
    """Make a small app behind the guard."""

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    async def page(_: Any) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Starlette(routes=[Route("/{path:path}", page, methods=METHODS), WebSocketRoute("/{path:path}", socket)])
    return TestClient(Guard(app, OnePerson(token), ["Glovebox.Example.com"]), base_url="http://localhost:8000")


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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.com"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"},
    ],
)
def test_pages_of_other_sites_get_one_answer_whatever_they_try(method: str, kind: str | None, headers: Any) -> None:
    told = headers | ({"content-type": kind} if kind else {})
    answers = [guarded(None).request(method, path, headers=told) for path in ("/v1/me", "/no/such", "/healthz")]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert not any(name.startswith("access-control-") for answer in answers for name in answer.headers)


@pytest.mark.parametrize("headers", [{}, {"host": "evil.com"}, {"origin": "http://localhost:8000"}])
@pytest.mark.parametrize("path", ["/v1/me", "/v1/sessions/s/files/a/b.html", "/v1/sessions/s/export"])
def test_every_answer_is_told_to_be_nobodys_page(headers: Any, path: str) -> None:
    answer = guarded(None).get(path, headers=headers)
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert not any(name.startswith("access-control-") or name == "set-cookie" for name in answer.headers)
    assert (answer.headers.get("content-disposition") == "attachment") == ("/s/" in path)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthorized"),
        ({"authorization": f"Bearer {TOKEN}", "host": "evil.com"}, "wrong_host"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://evil.com"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "null"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://localhost:8000.evil.com"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://localhost:8001"}, "wrong_origin"),
        ({"authorization": f"Bearer {TOKEN}", "origin": "http://localhost"}, "wrong_origin"),
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

    await Guard(app, OnePerson(TOKEN))({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
