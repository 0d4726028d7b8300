"""What the panels may ask of the API by way of the page, and files of any size on their way through it."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.unit import fake_api
from ui.admin_page import admin_doors
from ui.api_client import Api
from ui.guards import Guards
from ui.logins import Logins
from ui.relay import BODY_BYTES, allowed, relay
from ui.settings import OWN_HOSTS


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with Api("http://api", None, httpx2.ASGITransport(fake_api.create())) as client:
        yield client


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with _page(api) as client:
        yield client


def _page(api: Api) -> httpx2.AsyncClient:
    app = FastAPI()
    app.include_router(relay(Logins(api)))
    app.include_router(admin_doors(Logins(api)))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(Guards(app, OWN_HOSTS)), base_url="http://localhost:7860")


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", "me", True),
        ("PUT", "me/settings", True),
        ("GET", "sessions", True),
        ("PATCH", "sessions/s1", True),
        ("POST", "sessions/s1/sleep", True),
        ("DELETE", "sessions/s1/files/a/b.csv", True),
        ("POST", "sessions/s1/files/a/b.csv/rename", True),
        ("PUT", "sessions/s1/shares/bob", True),
        ("DELETE", "sessions/s1", False),
        ("POST", "sessions/s1/messages", False),
        ("POST", "sessions/s1/executions", False),
        ("GET", "sessions/s1/files/a", False),
        ("PUT", "sessions/s1/files/a", False),
        ("POST", "logout", False),
        ("POST", "login", False),
        ("GET", "metrics", False),
        ("PATCH", "me/settings", False),
        ("DELETE", "sessions/s1/files/../../s2", False),
        ("DELETE", "sessions/s1/files/.", False),
        ("POST", "admin/sandboxes//stop", False),
        ("GET", "", False),
    ],
)
def test_only_the_panels_calls_are_passed_on(method: str, path: str, may: bool) -> None:
    assert allowed(method, path) is may


async def test_a_call_is_passed_on_with_its_names_as_they_are(api: Api, browser: httpx2.AsyncClient) -> None:
    session = (await api.create_session("s", None))["id"]
    name = "dir/ü #1?%2e.csv"
    quoted = "dir/%C3%BC%20%231%3F%252e.csv"
    assert (await browser.put(f"/files/{session}/{quoted}", content=b"x")).json()["path"] == name
    renamed = await browser.post(f"/api/sessions/{session}/files/{quoted}/rename", json={"to": "新.csv"})
    assert (renamed.status_code, renamed.json()["path"]) == (200, "新.csv")
    assert renamed.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert renamed.headers["cache-control"] == "no-store"
    gone = await browser.delete(f"/api/sessions/{session}/files/%E6%96%B0.csv")
    assert (gone.status_code, await api.files(session)) == (204, [])


async def test_what_goes_wrong_is_told_in_the_apis_words(api: Api, browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/api/sessions/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert (await browser.post("/api/sessions", json={})).status_code == 404
    assert (await browser.put("/api/me/settings", content=b"{")).json()["code"] == "bad_request"
    long = await browser.put("/api/me/settings", content=b'"' + b"x" * BODY_BYTES + b'"')
    assert (long.status_code, long.json()["code"]) == (413, "body_too_large")


async def test_a_wrong_password_is_no_login_that_ended(browser: httpx2.AsyncClient) -> None:
    wrong = await browser.put("/api/me/password", json={"old": "no", "new": "a good password"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong_password")


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
async def test_other_sites_can_neither_call_nor_upload(
    api: Api, browser: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    session = (await api.create_session("s", None))["id"]
    assert (await browser.put(f"/files/{session}/x", content=b"x", headers=headers)).status_code == 403
    assert (await browser.put("/api/me/settings", json={"theme": "dark"}, headers=headers)).status_code == 403
    assert (await browser.get("/api/tokens", headers=headers)).status_code == 403
    assert await api.files(session) == []


async def test_an_upload_is_passed_on_as_it_comes() -> None:
    """No byte more than one chunk is ever here: each is asked for when the one before it has arrived."""
    app, order = FastAPI(), []

    @app.put("/v1/sessions/s/files/big.bin")
    async def put(request: Request) -> Any:
        assert request.headers["content-length"] == "4000"
        async for chunk in request.stream():
            order.append(f"came {chunk[:1].decode()}") if chunk else None
        return {"path": "big.bin", "size": 4000, "replaced": False}

    async def content() -> AsyncIterator[bytes]:
        for letter in (b"a", b"b", b"c", b"d"):
            order.append(f"sent {letter.decode()}")
            yield letter * 1000

    async with Api("http://api", None, httpx2.ASGITransport(app)) as api, _page(api) as page:
        answer = await page.put("/files/s/big.bin", content=content(), headers={"content-length": "4000"})
    assert answer.json() == {"path": "big.bin", "size": 4000, "replaced": False}
    assert order.index("came a") < order.index("sent c"), order


async def test_what_is_too_large_is_refused_before_it_is_sent(api: Api, browser: httpx2.AsyncClient) -> None:
    session = (await api.create_session("s", None))["id"]
    taken = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 5000:
            taken += 1
            yield bytes(2**20)
            await asyncio.sleep(0)

    headers = {"content-length": str(5000 * 2**20)}
    answer = await browser.put(f"/files/{session}/big.bin", content=content(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert answer.headers["connection"] == "close"
    assert await api.files(session) == []
    asked = await browser.post(f"/api/sessions/{session}/files", json={"bytes": 5000 * 2**20})
    assert (asked.status_code, asked.json()["code"]) == (507, "disk_full")
    assert (await browser.post(f"/api/sessions/{session}/files", json={"bytes": 1})).status_code == 204


async def test_a_notebook_becomes_a_session_and_what_is_none_is_told(api: Api, browser: httpx2.AsyncClient) -> None:
    notebook = b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["print(1)"]}]}'
    made = await browser.post("/import", params={"name": "Übung & more"}, content=notebook)
    session = made.json()["id"]
    assert (await api.session(session))["name"] == "Übung & more"
    assert (await api.messages(session))[-1]["parts"][0]["code"] == "print(1)"
    refused = await browser.post("/import", content=b"{}")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_notebook")
    foreign = await browser.post("/import", content=notebook, headers={"origin": "http://evil.example"})
    assert (foreign.status_code, len(await api.sessions())) == (403, 1)


async def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.put("/v1/sessions/s/files/big.bin")
    async def full() -> Any:
        return JSONResponse({"code": "disk_full", "detail": "The disk is full.", "title": "t"}, 507)

    async with Api("http://api", None, httpx2.ASGITransport(app)) as api, _page(api) as page:
        answer = await page.put("/files/s/big.bin", content=b"x")
    assert (answer.status_code, answer.json()["detail"]) == (507, "The disk is full.")


async def test_everything_is_downloaded_under_the_sessions_name(api: Api, browser: httpx2.AsyncClient) -> None:
    session = (await api.create_session("Umsätze", None))["id"]
    await browser.put(f"/files/{session}/a.txt", content=b"hello")
    answer = await browser.get(f"/archive/{session}")
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''Ums%C3%A4tze.zip")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).read("a.txt") == b"hello"
    assert (await browser.get("/archive/nobody")).status_code == 404


async def test_the_page_for_admins_runs_no_script_but_ours(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/admin")
    assert page.status_code == 200 and "script-src 'self';" in page.headers["content-security-policy"]
    script = await browser.get("/browser/admin.js")
    assert script.headers["content-type"].startswith("text/javascript")
    known = await browser.get("/browser/admin.js", headers={"if-none-match": script.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    for name in ("admin.py", "..%2fwords.py", "nothing.js"):
        assert (await browser.get(f"/browser/{name}")).status_code == 404


async def test_members_are_led_away_from_the_page_for_admins(
    browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def me(_: Api) -> dict[str, Any]:
        return {"id": "b", "name": "bob", "role": "member", "mode": "team", "can_log_out": True}

    monkeypatch.setattr(Api, "me", me)
    answer = await browser.get("/admin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
