"""The document of the page, in the language and the colours that its reader chose."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from tests.unit import fake_api
from ui import languages, places, words
from ui.api_client import Api
from ui.front import Front
from ui.in_language import InLanguage
from ui.logins import Logins

DOCUMENT = '<!doctype html><html\n\tlang="en"><head><link rel="manifest" href="/manifest.json" /></head><body>{}</body>'


@pytest.fixture
def orchestrator() -> FastAPI:
    return fake_api.create()


@pytest.fixture
async def browser(orchestrator: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    page = FastAPI()

    @page.get("/{path:path}", response_class=HTMLResponse)
    async def document(path: str) -> str:
        return DOCUMENT.format(words.STOP)

    async with Api("http://api", None, httpx2.ASGITransport(orchestrator)) as api:
        transport = httpx2.ASGITransport(InLanguage(Front(page, Logins(api))))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


def told(document: str) -> Any:
    return json.JSONDecoder().raw_decode(document, document.index("window.glovebox = ") + 18)[0]


async def test_the_browsers_language_is_spoken_where_nothing_was_chosen(browser: httpx2.AsyncClient) -> None:
    english = await browser.get("/")
    assert 'lang="en"' in english.text and "Stop" in english.text and told(english.text)["theme"] is None
    chinese = await browser.get("/", headers={"accept-language": "zh-CN"})
    assert 'lang="zh-CN"' in chinese.text and "停止" in chinese.text
    assert told(chinese.text)["words"]["upload"] == "上传"
    assert told(chinese.text)["languages"] == {"en": "English", "zh": "中文"}
    assert chinese.headers["content-encoding"] == "gzip"
    plain = await browser.get("/", headers={"accept-language": "zh-TW,zh;q=0.9", "accept-encoding": "identity"})
    assert int(plain.headers["content-length"]) == len(plain.content) == len(chinese.content)
    assert "manifest" not in chinese.text and chinese.headers["cache-control"] == "no-store"


async def test_settings_come_first_and_are_kept_for_what_is_asked_next(
    browser: httpx2.AsyncClient, orchestrator: FastAPI
) -> None:
    orchestrator.state.settings.update({"language": "zh", "theme": "dark"})
    chosen = await browser.get("/")
    assert "停止" in chosen.text and told(chosen.text)["theme"] == "dark"
    kept = chosen.headers["set-cookie"]
    assert kept.startswith("glovebox-language=zh; Path=/; HttpOnly; SameSite=Strict")
    assert "停止" in (await browser.get("/elsewhere", headers={"cookie": "glovebox-language=zh"})).text
    orchestrator.state.settings.update({"language": None, "theme": "system"})
    again = await browser.get("/", headers={"cookie": "glovebox-language=zh"})
    assert "Stop" in again.text and "Max-Age=0" in again.headers["set-cookie"]


@pytest.mark.parametrize("stored", ["xx", "../zh", 7, ["zh"]])
async def test_a_language_that_there_is_not_is_the_browsers(
    browser: httpx2.AsyncClient, orchestrator: FastAPI, stored: object
) -> None:
    orchestrator.state.settings["language"] = stored
    assert 'lang="en"' in (await browser.get("/")).text


async def test_an_api_without_settings_leaves_the_page_as_it_is() -> None:
    page = FastAPI()

    @page.get("/", response_class=HTMLResponse)
    async def document() -> str:
        return DOCUMENT.format(words.STOP)

    async with Api("http://api", None, httpx2.ASGITransport(FastAPI())) as api:
        transport = httpx2.ASGITransport(InLanguage(Front(page, Logins(api))))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/", headers={"cookie": "glovebox-language=zh"})
    assert "停止" in answer.text and "set-cookie" not in answer.headers


async def test_nothing_in_the_first_script_ends_it(
    browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "texts", lambda _: {"SCRIPTS": {"upload": "</script><img>"}})
    document = (await browser.get("/", headers={"accept-language": "zh"})).text
    assert "</script><img>" not in document and told(document)["words"]["upload"] == "</script><img>"


@pytest.mark.parametrize(("text", "prefix"), [("", ""), ("/", ""), ("/box", "/box"), ("/a/b/", "/a/b")])
def test_a_prefix_is_read(text: str, prefix: str) -> None:
    assert places.read_prefix(text) == prefix


@pytest.mark.parametrize("text", ["box", "/a//b", "/../x", '/"x', "/a b", "http://x/y"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="GLOVEBOX_UI_ROOT_PATH"):
        places.read_prefix(text)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [("/box/", "/"), ("/box/files/a%20b", "/files/a b"), ("/files/x", "/files/x"), ("/boxes", "/boxes")],
)
async def test_a_prefix_is_taken_off_whether_the_proxy_did_or_not(asked: str, seen: str) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def path(path: str) -> str:
        return f"/{path}"

    transport = httpx2.ASGITransport(places.Beneath(app, "/box"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get(asked)).json() == seen
        bare = await client.get("/box")
    assert (bare.status_code, bare.headers["location"]) == (308, "/box/")
