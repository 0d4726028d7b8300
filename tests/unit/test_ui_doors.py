"""The page's own routes, and who may ask for them."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers

from tests.unit import fake_api
from tests.unit.fake_cells import png
from ui.api_client import Api, ApiError
from ui.doors import attachment, doors
from ui.frames import policy, scripts
from ui.guards import Guards, allowed_host, from_here
from ui.logins import Logins
from ui.settings import OWN_HOSTS
from ui.shelf import Shelf


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with Api("http://api", "secret", httpx2.ASGITransport(fake_api.create())) as client:
        yield client


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
async def browser(api: Api, shelf: Shelf) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.include_router(doors(Logins(api), shelf))
    transport = httpx2.ASGITransport(Guards(app, OWN_HOSTS))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:7860") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("x.csv", "attachment; filename=\"x.csv\"; filename*=UTF-8''x.csv"),
        ('ü "q";.csv', "attachment; filename=\"_ _q__.csv\"; filename*=UTF-8''%C3%BC%20%22q%22%3B.csv"),
        ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie_ x\"; filename*=UTF-8''a__Set-Cookie%3A%20x"),
        ("../..\\x", "attachment; filename=\".._.._x\"; filename*=UTF-8''.._.._x"),
        ("", "attachment; filename=\"download\"; filename*=UTF-8''download"),
    ],
)
def test_a_download_is_named_for_every_browser(name: str, header: str) -> None:
    assert attachment(name) == header
    assert attachment(name).isascii()


async def test_a_file_is_passed_on_with_its_range_and_can_do_nothing(
    api: Api, browser: httpx2.AsyncClient, tmp_path: Path
) -> None:
    session = (await api.create_session("s", None))["id"]
    source = tmp_path / "source"
    source.write_bytes(b"0123456789" * 1000)
    await api.put_file(session, "dir/ü #1.csv", source)
    whole = await browser.get(f"/files/{session}/dir/%C3%BC%20%231.csv")
    assert whole.status_code == 200
    assert whole.content == source.read_bytes()
    assert whole.headers["content-disposition"].endswith("filename*=UTF-8''%C3%BC%20%231.csv")
    assert whole.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["cross-origin-resource-policy"] == "same-origin"
    part = await browser.get(f"/files/{session}/dir/%C3%BC%20%231.csv", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, b"2345")
    assert part.headers["content-range"] == "bytes 2-5/10000"


async def test_what_cannot_be_had_is_said_in_the_apis_words(api: Api, browser: httpx2.AsyncClient) -> None:
    session = (await api.create_session("s", None))["id"]
    missing = await browser.get(f"/files/{session}/missing.csv")
    assert missing.status_code == 404
    assert missing.json()["detail"] == "There is no file 'missing.csv'."
    assert (await browser.get("/files/nobody/x.csv")).status_code == 404
    assert (await browser.get(f"/files/{session}/..%2f..%2fx")).status_code == 404
    assert (await browser.get("/export/nobody")).status_code == 404
    for path in (f"/files/{session}/missing.html", "/files/nobody/x.html", "/export/nobody"):
        answer = await browser.get(path)
        assert answer.headers["content-disposition"].startswith("attachment;"), path
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'", path


async def test_an_export_bears_the_sessions_name_in_each_form(api: Api, browser: httpx2.AsyncClient) -> None:
    session = (await api.create_session("Umsätze", None))["id"]
    notebook = await browser.get(f"/export/{session}")
    assert notebook.json()["nbformat"] == 4
    assert notebook.headers["content-disposition"].endswith("filename*=UTF-8''Ums%C3%A4tze.ipynb")
    for form in ("html", "md"):
        other = await browser.get(f"/export/{session}", params={"form": form})
        assert (other.text, other.headers["content-security-policy"]) == (f"as {form}", "sandbox; default-src 'none'")
        assert other.headers["content-disposition"].endswith(f"Ums%C3%A4tze.{form}")
    assert (await browser.get(f"/export/{session}", params={"form": "exe"})).status_code == 422


async def test_pictures_and_frames_are_served_inert(browser: httpx2.AsyncClient, shelf: Shelf) -> None:
    picture, page = shelf.put(png(4, 4), "png"), shelf.put(b"<script>1</script>", "html")
    seen = await browser.get(f"/pictures/{picture}")
    assert (seen.status_code, seen.headers["content-type"]) == (200, "image/png")
    assert "script-src" not in seen.headers["content-security-policy"]
    framed = await browser.get(f"/frames/{page}")
    assert framed.headers["content-security-policy"] == policy("html")
    assert framed.text.count("<script>") == len(scripts("html"))
    assert (await browser.get(f"/pictures/{page}")).status_code == 404
    assert (await browser.get(f"/frames/{picture}")).status_code == 404


async def test_a_frame_is_sent_packed_and_to_whoever_cannot_unpack_it_as_it_is(
    browser: httpx2.AsyncClient, shelf: Shelf
) -> None:
    name = shelf.put(b'{"data":[],"layout":{}}', "plotly")
    packed = await browser.get(f"/frames/{name}")
    plain = await browser.get(f"/frames/{name}", headers={"Accept-Encoding": "identity"})
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


async def test_ten_thousand_ranges_are_one_answer(browser: httpx2.AsyncClient, api: Api, shelf: Shelf) -> None:
    ranges = {"Range": "bytes=" + ",".join(f"{at}-{at}" for at in range(10_000))}
    picture = await browser.get(f"/pictures/{shelf.put(png(400, 400), 'png')}", headers=ranges)
    assert picture.status_code in (200, 206, 400, 416)
    assert len(picture.content) < 100_000


async def test_an_api_that_is_away_is_a_bad_gateway(
    browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ApiError("away")

    monkeypatch.setattr(Api, "session", away)
    answer = await browser.get("/export/s")
    assert (answer.status_code, answer.json()["detail"]) == (502, "away")


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        (["localhost:7860"], True),
        (["127.0.0.1"], True),
        (["LOCALHOST"], True),
        (["[::1]:7860"], True),
        (["ui:7860"], True),
        (["evil.example"], False),
        (["localhost.evil.example"], False),
        (["localhost."], False),
        (["localhost:7860:1"], False),
        (["user@localhost"], False),
        (["localhost", "evil.example"], False),
        ([], False),
        ([""], False),
    ],
)
def test_only_the_pages_own_names_are_answered(hosts: list[str], allowed: bool) -> None:
    assert allowed_host(hosts, OWN_HOSTS) is allowed


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        ("GET", {}, True),
        ("GET", {"sec-fetch-site": "same-origin"}, True),
        ("GET", {"sec-fetch-site": "none"}, True),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "same-site"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("GET", {"origin": "http://evil.example"}, False),
        ("GET", {"origin": "null"}, False),
        ("GET", {"origin": "http://localhost:7860"}, True),
        ("POST", {}, True),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "http://localhost:7860"}, True),
        ("POST", {"sec-fetch-site": "cross-site"}, False),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, False),
        ("POST", {"sec-fetch-site": "none"}, False),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, False),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "null"}, False),
        ("POST", {"sec-fetch-mode": "no-cors", "sec-fetch-site": "cross-site", "content-type": "text/plain"}, False),
        ("POST", {"sec-fetch-mode": "no-cors", "origin": "http://evil.example", "content-type": "text/plain"}, False),
        ("POST", {"origin": "http://localhost:7860"}, True),
        ("POST", {"origin": "https://localhost:7860"}, True),
        ("POST", {"origin": "ftp://localhost:7860"}, False),
        ("POST", {"origin": "http://localhost"}, False),
        ("POST", {"origin": "http://localhost:7860.evil.example"}, False),
        ("POST", {"origin": "http://evil.example/localhost:7860"}, False),
        ("POST", {"origin": "http://user@localhost:7860"}, False),
        ("POST", {"origin": "http://localhost:7860/"}, False),
        ("POST", {"origin": "http://localhost:3000"}, False),
        ("POST", {"origin": "http://evil.example"}, False),
        ("POST", {"origin": "null"}, False),
        ("DELETE", {"origin": "null"}, False),
    ],
)
def test_other_sites_may_only_link_here(method: str, headers: dict[str, str], allowed: bool) -> None:
    assert from_here(method, "/", Headers({"host": "localhost:7860", **headers})) is allowed


def test_a_link_of_another_site_leads_to_the_page_and_nowhere_else() -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    headers = Headers({"host": "localhost:7860", **followed})
    assert from_here("GET", "/", headers)
    assert not any(from_here("GET", path, headers) for path in ("/files/s/a.csv", "/frames/x.html", "/gradio_api/info"))


@pytest.mark.parametrize("second", ["origin", "sec-fetch-site"])
def test_a_second_header_cannot_hide_a_foreign_first_one(second: str) -> None:
    values = {"origin": ["http://evil.example", "http://localhost:7860"], "sec-fetch-site": ["cross-site", "none"]}
    for order in (1, -1):
        raw = [(b"host", b"localhost:7860"), *((second.encode(), each.encode()) for each in values[second][::order])]
        assert not from_here("GET", "/", Headers(raw=raw))
        assert not from_here("POST", "/", Headers(raw=raw))


async def test_every_answer_has_the_security_headers(browser: httpx2.AsyncClient) -> None:
    healthy = await browser.get("/healthz")
    assert healthy.json() == {"status": "ok"}
    refused = await browser.get("/healthz", headers={"Host": "evil.example"})
    assert refused.status_code == 421
    foreign = await browser.post("/healthz", headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    for answer in (healthy, refused, foreign, await browser.get("/nothing")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/gradio_api/proxy=https://x", "/gradio_api/file=http://x", "/file=https:/x"])
async def test_nobody_makes_the_page_fetch_an_address(browser: httpx2.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404
