"""Logging in at the page: the form, the cookie, and what a login that ends takes with it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ui import languages, words
from ui.api_client import Api
from ui.guards import Guards
from ui.login_doors import LoginDoors
from ui.login_page import document
from ui.logins import PLAIN, SECURE, Logins, cookie, login_of
from ui.settings import OWN_HOSTS

LOGIN = f"gbl_{'0' * 16}_{'a' * 43}"
REDIRECT = "https://glovebox.example/login/callback"
OTHER = f"gbl_{'1' * 16}_{'b' * 43}"


@dataclass
class People:
    """Stands in for the API's part that knows people."""

    mode: str = "team"
    logins: set[str] = field(default_factory=lambda: {LOGIN})
    told: dict[str, str] = field(default_factory=dict)
    down: bool = False
    sso: bool = False
    proxy_headers: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:  # noqa: C901 - one short handler for each call
        app = FastAPI()

        @app.middleware("http")
        async def reachable(request: Request, go_on: Any) -> Response:
            answer: Response = PlainTextResponse("", 502) if self.down else await go_on(request)
            return answer

        @app.get("/v1/login")
        async def ways() -> Any:
            return {"mode": self.mode, "sso": self.sso, "proxy_headers": self.proxy_headers}

        @app.post("/v1/login/sso")
        async def begin() -> Any:
            return {"url": "https://provider.example/authorize?state=s", "flow": "sealed", "redirect_uri": REDIRECT}

        @app.post("/v1/login/sso/finish")
        async def finish(body: dict[str, str]) -> Any:
            self.told = body
            if body["flow"] != "sealed":
                return JSONResponse({"code": "login_unknown", "detail": "too late"}, 401)
            return {"token": LOGIN, "person": {}}

        @app.post("/v1/login")
        async def log_in(body: dict[str, str], request: Request) -> Any:
            self.told = dict(request.headers)
            if body["password"] != "right":
                return JSONResponse({"code": "wrong_password", "detail": "Wrong <it> is."}, 401)
            return {"token": LOGIN, "person": {}}

        @app.post("/v1/logout")
        async def log_out(request: Request) -> None:
            self.logins.discard(request.headers["authorization"].removeprefix("Bearer "))

        @app.get("/v1/me")
        async def me(request: Request) -> Any:
            known = request.headers.get("authorization", "").removeprefix("Bearer ") in self.logins
            if "x-proxy-secret" in request.headers:
                known = request.headers["x-proxy-secret"] == "right"
                if request.headers["x-user"] == "stranger":
                    return JSONResponse({"code": "no_account", "detail": "You have no account."}, 403)
            return {"name": "ann"} if known else JSONResponse({"code": "unauthorized", "detail": "no"}, 401)

        return app


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
async def browser(people: People) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser before a page that answers each path with the login that its handlers would act with."""
    async with Api("http://api", None, httpx2.ASGITransport(people.app())) as api:
        logins = Logins(api)
        page = FastAPI()
        page.include_router(LoginDoors(api, logins).router())

        @page.api_route("/{path:path}", methods=["GET", "POST"])
        async def inside(request: Request) -> Response:
            return PlainTextResponse(login_of(request.headers) or "nobody")

        transport = httpx2.ASGITransport(Guards(page, OWN_HOSTS, None, logins))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:7860") as client:
            yield client


def form(password: str = "right", name: str = "ann") -> dict[str, Any]:
    kind = {"content-type": "application/x-www-form-urlencoded", "origin": "http://localhost:7860"}
    return {"content": urlencode({"name": name, "password": password}), "headers": kind}


def bringing(login: str, name: str = PLAIN) -> dict[str, str]:
    return {"cookie": f"{name}={login}"}


async def test_who_has_no_login_gets_the_login_page_and_nothing_else(browser: httpx2.AsyncClient) -> None:
    for path in ("/config", "/gradio_api/queue/data", "/files/0/a", "/pictures/x", "/theme.css", "/login/x", "/login/"):
        assert (await browser.get(path)).status_code == 401, path
    sent = await browser.get(f"/?session={'a' * 32}")
    assert (sent.status_code, sent.headers["location"]) == (303, f"/login?session={'a' * 32}")
    assert (await browser.get("/?session=//evil.example")).headers["location"] == "/login"
    page = await browser.get("/login")
    assert page.status_code == 200 and 'type="password"' in page.text
    assert "script" not in page.text and page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["cache-control"] == "no-store"


async def test_a_right_password_sets_a_cookie_that_only_the_browser_handles(browser: httpx2.AsyncClient) -> None:
    entered = await browser.post("/login", **form())
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    name, *rest = entered.headers["set-cookie"].split("; ")
    assert name == f"glovebox={LOGIN}"
    assert set(rest) == {"Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={14 * 24 * 3600}"}
    browser.cookies.clear()
    assert (await browser.get("/", headers=bringing(LOGIN))).text == LOGIN
    back = await browser.post(f"/login?session={'a' * 32}", **form())
    assert back.headers["location"] == f"/?session={'a' * 32}"


async def test_over_tls_the_cookie_is_this_hosts_alone(browser: httpx2.AsyncClient) -> None:
    told = form()
    told["headers"]["origin"] = "https://localhost:7860"
    entered = await browser.post("/login", **told)
    name, *rest = entered.headers["set-cookie"].split("; ")
    assert name == f"__Host-glovebox={LOGIN}"
    assert set(rest) == {"Path=/", "HttpOnly", "SameSite=Strict", "Secure", f"Max-Age={14 * 24 * 3600}"}


def test_over_tls_a_cookie_that_anybody_on_the_network_could_set_is_none() -> None:
    both = {"cookie": f"{PLAIN}={OTHER}; {SECURE}={LOGIN}"}
    assert login_of(both) == LOGIN
    assert login_of(bringing(OTHER)) == OTHER
    assert login_of(bringing(OTHER) | {"x-forwarded-proto": "https"}) is None
    assert cookie("", secure=True).startswith("__Host-glovebox=; ") and "Max-Age=0" in cookie("", secure=True)


@pytest.mark.parametrize("value", ["", "x", LOGIN + "x", LOGIN[:-1], LOGIN.replace("gbl", "gbx"), f"{LOGIN}\r\nX: y"])
def test_what_cannot_be_a_login_is_none(value: str) -> None:
    assert login_of(bringing(value)) is None


async def test_a_wrong_password_is_told_in_the_readers_language(browser: httpx2.AsyncClient) -> None:
    told = form("wrong", '"><script>x</script>')
    refused = await browser.post("/login", **told)
    assert refused.status_code == 401
    assert words.LOGIN["wrong_password"] in refused.text and "<script>" not in refused.text
    assert "set-cookie" not in refused.headers
    told["headers"]["accept-language"] = "zh-CN,en;q=0.5"
    refused = await browser.post("/login", **told)
    assert languages.texts("zh")["LOGIN"]["wrong_password"] in refused.text and '<html lang="zh">' in refused.text


def test_what_the_login_page_is_told_is_escaped() -> None:
    assert "&lt;b&gt;" in document(words.LOGIN, "en", "<b>")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
async def test_no_other_site_logs_anybody_in_or_out(
    browser: httpx2.AsyncClient, people: People, headers: dict[str, str], path: str
) -> None:
    told = form()
    told["headers"] = {"content-type": told["headers"]["content-type"], **bringing(LOGIN), **headers}
    refused = await browser.post(path, **told)
    assert refused.status_code == 403 and "set-cookie" not in refused.headers
    assert people.logins == {LOGIN}


async def test_logging_out_ends_the_login_for_everybody_who_has_it(browser: httpx2.AsyncClient, people: People) -> None:
    assert (await browser.get("/", headers=bringing(LOGIN))).text == LOGIN
    left = await browser.post("/logout", headers=bringing(LOGIN))
    assert (left.status_code, left.headers["location"]) == (303, "/login?why=out")
    assert all("Max-Age=0" in one for one in left.headers.get_list("set-cookie"))
    assert people.logins == set()
    after = await browser.get("/", headers=bringing(LOGIN))
    assert (after.status_code, after.headers["location"]) == (303, "/login?why=ended")


async def test_the_browsers_address_is_told_and_whatever_it_says_itself_comes_before(
    browser: httpx2.AsyncClient, people: People
) -> None:
    told = form()
    told["headers"]["x-forwarded-for"] = "6.6.6.6"
    await browser.post("/login", **told)
    assert people.told["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"


async def test_a_form_that_is_too_large_is_not_read(browser: httpx2.AsyncClient) -> None:
    assert (await browser.post("/login", **form("x" * 100_000))).status_code == 401


async def test_while_the_api_is_away_strangers_stay_out_and_who_was_known_stays_in(
    browser: httpx2.AsyncClient, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await browser.get("/", headers=bringing(LOGIN))).status_code == 200
    people.down = True
    monkeypatch.setattr("ui.logins.FRESH_S", -1.0)
    monkeypatch.setattr("ui.logins._WAYS_FRESH_S", -1.0)
    assert (await browser.get("/", headers=bringing(LOGIN))).status_code == 200
    assert (await browser.get("/", headers=bringing(OTHER))).status_code == 503
    assert (await browser.get("/")).status_code == 303


async def test_a_page_that_cannot_ask_whether_logins_are_needed_lets_nobody_in(people: People) -> None:
    people.down = True

    async def never(*_: Any) -> None:
        raise AssertionError("somebody came in")

    async with Api("http://api", None, httpx2.ASGITransport(people.app())) as api:
        transport = httpx2.ASGITransport(Guards(never, OWN_HOSTS, None, Logins(api)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert [(await client.get(path)).status_code for path in ("/", "/config")] == [503, 503]


@pytest.mark.parametrize("begun", [True, False])
async def test_what_lasts_ends_with_the_login(people: People, begun: bool) -> None:
    cancelled = asyncio.Event()

    async def lasting(scope: Any, _receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
        people.logins.clear()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async with Api("http://api", None, httpx2.ASGITransport(people.app())) as api:
        transport = httpx2.ASGITransport(Guards(lasting, OWN_HOSTS, None, Logins(api)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            answer = await asyncio.wait_for(client.get("/x", headers=bringing(LOGIN)), 60)
    assert cancelled.is_set()
    if begun:
        assert (answer.status_code, answer.content) == (200, b"one")
    else:
        assert (answer.status_code, json.loads(answer.content)["detail"]) == (401, words.LOGIN_ENDED)


async def test_single_sign_on_is_offered_where_there_is_one(browser: httpx2.AsyncClient, people: People) -> None:
    assert "/login/sso" not in (await browser.get("/login")).text
    people.sso = True
    async with Api("http://api", None, httpx2.ASGITransport(people.app())) as api:
        page = FastAPI()
        page.include_router(LoginDoors(api, Logins(api)).router())
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(page), base_url="http://localhost") as client:
            assert "/login/sso" in (await client.get("/login")).text


async def test_single_sign_on_goes_there_and_back_in_one_browser(browser: httpx2.AsyncClient, people: People) -> None:
    there = await browser.get("/login/sso")
    assert (there.status_code, there.headers["location"]) == (303, "https://provider.example/authorize?state=s")
    name, *rest = there.headers["set-cookie"].split("; ")
    assert name == "__Host-glovebox-flow=sealed"
    assert set(rest) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=600"}
    coming = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    back = await browser.get("/login/callback?code=c&state=s&iss=i", headers=coming | {"cookie": name})
    assert people.told == {"flow": "sealed", "code": "c", "state": "s", "iss": "i"}
    assert back.status_code == 200 and "0;url=/" in back.text
    kept, gone = back.headers.get_list("set-cookie")
    assert kept.startswith(f"__Host-glovebox={LOGIN}; ") and "SameSite=Strict" in kept and "; Secure" in kept
    assert gone.startswith("__Host-glovebox-flow=; ") and "Max-Age=0" in gone
    other_browser = await browser.get("/login/callback?code=c&state=s", headers=coming)
    assert other_browser.status_code == 401 and "set-cookie" not in other_browser.headers
    assert words.LOGIN["login_unknown"] in other_browser.text
    refused = await browser.get("/login/callback?error=access_denied&state=s", headers=coming)
    assert refused.status_code == 401 and words.LOGIN["login_refused"] in refused.text


async def test_what_a_proxy_says_is_passed_on_and_comes_before_a_login(
    browser: httpx2.AsyncClient, people: People
) -> None:
    people.proxy_headers = ["X-User", "X-Proxy-Secret"]
    told = {"x-user": "ann", "x-proxy-secret": "right"}
    assert (await browser.get("/", headers=told)).status_code == 200
    wrong = await browser.get("/", headers=told | {"x-proxy-secret": "wrong"} | bringing(LOGIN))
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/login?why=ended")
    stranger = await browser.get("/", headers=told | {"x-user": "stranger"})
    assert (stranger.status_code, stranger.json()["detail"]) == (403, "You have no account.")


async def test_of_two_names_none_is_believed(browser: httpx2.AsyncClient, people: People) -> None:
    people.proxy_headers = ["X-User", "X-Proxy-Secret"]
    told = [("x-user", "eve"), ("x-user", "ann"), ("x-proxy-secret", "right"), ("cookie", f"{PLAIN}={LOGIN}")]
    assert (await browser.get("/", headers=told)).headers["location"] == "/login"


async def test_without_a_proxy_its_headers_say_nothing(browser: httpx2.AsyncClient) -> None:
    told = {"x-user": "ann", "x-proxy-secret": "right"}
    assert (await browser.get("/", headers=told)).status_code == 303
