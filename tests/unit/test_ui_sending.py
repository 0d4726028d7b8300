"""Doors of the page's own: what is sent and what is refused, cells run where they are, sides told once."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from tests.unit import fake_api
from ui import words
from ui.api_client import Api, ApiError
from ui.logins import Logins
from ui.nudges import Nudges
from ui.rerunning import rerunning
from ui.sending import is_upload, sending
from ui.sides import sides


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, Api]]:
    (tmp_path / "uploads").mkdir()
    behind = httpx2.ASGITransport(fake_api.create())
    async with Api("http://api", None, transport=behind) as api:
        app = FastAPI()
        app.include_router(sending(Logins(api), Nudges(), tmp_path / "uploads"))
        app.include_router(sides(Logins(api)))
        app.include_router(rerunning(Logins(api), Nudges()))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://page") as client:
            yield client, api


async def test_a_message_makes_its_session_and_brings_its_files(
    door: tuple[httpx2.AsyncClient, Api], tmp_path: Path
) -> None:
    client, api = door
    table, secret = tmp_path / "uploads" / "a" / "table.csv", tmp_path / "secret"
    table.parent.mkdir()
    for path in (table, secret):
        path.write_text("x")
    told = (await client.post("/send", json={"text": "fail, with a table", "files": [str(table), str(secret)]})).json()
    assert told["sent"]
    assert [entry["path"] for entry in await api.files(told["session"])] == ["table.csv"]
    assert (await api.messages(told["session"]))[0]["content"] == "fail, with a table"
    assert not table.exists()
    assert secret.exists()


async def refuse(*_: object) -> None:
    raise ApiError("It answers.", "turn_running", 409)


async def test_what_is_refused_is_said_and_nothing_is_carried_twice(
    door: tuple[httpx2.AsyncClient, Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, api = door
    first = (await client.post("/send", json={"text": "fail, at first"})).json()
    table = tmp_path / "uploads" / "table.csv"
    table.write_text("x")
    letter = {"session": first["session"], "text": "too early", "files": [str(table)]}
    monkeypatch.setattr(Api, "ask", refuse)
    told = (await client.post("/send", json=letter)).json()
    assert (told["sent"], told["carried"]) == (False, {str(table): "table.csv"})
    assert words.STILL_ANSWERING in told["notice"]
    again = (await client.post("/send", json=letter | {"carried": told["carried"]})).json()
    assert again["carried"] == told["carried"]
    assert [entry["path"] for entry in await api.files(first["session"])] == ["table.csv"]


async def test_a_new_session_is_as_the_pickers_show_and_what_is_not_known_asks_before_code_runs(
    door: tuple[httpx2.AsyncClient, Api],
) -> None:
    client, api = door
    small = words.PROFILE_CHOICE.format(name="small")
    for approval, then in (
        (words.APPROVAL_AUTO, "auto"),
        (words.APPROVAL_ASK, "ask"),
        ("in another language", "ask"),
        (None, "auto"),
    ):
        told = (await client.post("/send", json={"text": "fail", "profile": small, "approval": approval})).json()
        made = await api.session(told["session"])
        assert (made["profile"], made["approval"]) == ("small", then)


async def test_what_is_no_letter_is_refused(door: tuple[httpx2.AsyncClient, Api]) -> None:
    client, _ = door
    for content in (b"", b"[]", b'{"text": 1}', b'{"files": "a"}', b"{"):
        assert (await client.post("/send", content=content)).status_code == 400


def test_only_what_was_uploaded_goes_into_a_workspace(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "mine").write_text("x")
    (tmp_path / "other").write_text("x")
    (uploads / "link").symlink_to(tmp_path / "other")
    assert is_upload(str(uploads / "mine"), uploads)
    for path in (tmp_path / "other", uploads, uploads / "link", uploads / ".." / "other", uploads / "none", "\0"):
        assert not is_upload(str(path), uploads)


async def test_sides_that_are_as_they_were_are_not_told_again(door: tuple[httpx2.AsyncClient, Api]) -> None:
    client, api = door
    session = (await api.create_session("charts", None))["id"]
    first = await client.get(f"/sides/{session}")
    assert "charts" in first.json()["title"]
    assert [row[0] for row in first.json()["rows"]] == [session]
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await client.get(f"/sides/{session}", headers=tag)).status_code == 304
    await api.rename_session(session, "maps")
    assert "maps" in (await client.get(f"/sides/{session}", headers=tag)).json()["title"]
    assert (await client.get("/sides/")).json()["export"] == ""


async def test_a_cell_of_a_notebook_is_run_where_it_is(door: tuple[httpx2.AsyncClient, Api]) -> None:
    client, api = door
    codes = ["print(1)", "raise ValueError"]
    cells = [{"cell_type": "code", "source": [code], "outputs": []} for code in codes]
    content = json.dumps({"cells": cells}).encode()

    async def sent() -> AsyncIterator[bytes]:
        yield content

    session = (await api.import_notebook("n", sent(), len(content)))["id"]
    assert (await client.post(f"/rerun/{session}/i0")).json() == {"status": "ok", "error": "ok"}
    assert (await client.post(f"/rerun/{session}/i1")).json() == {"status": "error", "error": "ValueError"}
    _, answer = await api.messages(session)
    assert answer["parts"][0]["outputs"][0]["text"] == "ran print(1)"
