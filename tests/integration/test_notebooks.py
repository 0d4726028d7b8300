"""Notebooks out of sessions and into them, archives, uploads that are taken back: through the API, with real cells."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import nbformat
import pytest

from tests.integration.test_chat import by_type, table
from tests.stack import ApiSession, MakeSession, Stack, running_stack, wait_for


@pytest.fixture
def own_stack(tmp_path: Path, runtime: str) -> Iterator[Stack]:
    """A stack for one test, which kills parts of it."""
    with running_stack(tmp_path, runtime) as stack:
        yield stack


class Imported(ApiSession):
    """A session that was made of a notebook."""

    def __init__(self, client: httpx2.Client, content: bytes, **query: Any) -> None:
        self.client = client
        made = client.post("/v1/sessions/import", content=content, params=query)
        assert made.status_code == 201, made.text
        self.about = made.json()
        self.id = self.about["id"]
        self.path = f"/v1/sessions/{self.id}"

    def parts(self) -> list[dict[str, Any]]:
        messages = self.client.get(f"{self.path}/messages").json()
        return [part for message in messages for part in message.get("parts", [])]

    def cells(self) -> list[dict[str, Any]]:
        return [part for part in self.parts() if part["type"] == "cell"]


def notebook(*cells: Any) -> bytes:
    return nbformat.writes(nbformat.v4.new_notebook(cells=list(cells))).encode()


@pytest.mark.any_runtime
def test_the_classic_example_is_exported_in_each_format_and_imported_its_cells_run_again(
    session: ApiSession, client: httpx2.Client
) -> None:
    content = table(session)
    session.put("breast_cancer.csv", content)
    events = list(session.say("Fit a linear regression and plot it", attachments=["breast_cancer.csv"]))
    failed, worked = by_type(events, "cell_finished")
    exported = {}
    for form, mime_type in (("ipynb", "application/x-ipynb+json"), ("html", "text/html"), ("md", "text/markdown")):
        answer = client.get(f"{session.path}/export", params={"format": form})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].split(";")[0] == mime_type
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-disposition"].endswith(f".{form}")
        assert "sandbox" in answer.headers["content-security-policy"]
        exported[form] = answer.content
    (picture,) = [o["data"]["image/png"] for o in worked["outputs"] if "image/png" in o.get("data", {})]
    for form in ("html", "md"):
        assert f"data:image/png;base64,{''.join(picture.split())}" in exported[form].decode()
    assert "default-src 'none'" in exported["html"].decode()
    assert worked["code"] in exported["md"].decode()

    again = Imported(client, exported["ipynb"])
    try:
        assert again.about["state"] == "asleep"
        _, first, second = again.cells()  # the table was copied by a cell of its own
        assert [first["code"], second["code"]] == [failed["code"], worked["code"]]
        assert [first["status"], second["status"]] == ["error", "ok"]
        assert second["outputs"] == worked["outputs"]
        again.put("breast_cancer.csv", content)
        run = client.post(f"{again.path}/cells/{second['cell_id']}/run", json={})
        assert run.status_code == 200, run.text
        assert run.json()["status"] == "ok", run.json()
        assert [o["output_type"] for o in run.json()["outputs"]] == [o["output_type"] for o in worked["outputs"]]
        question, answer = client.get(f"{again.path}/messages").json()[-2:]
        assert question["content"] == f"!{worked['code']}"
        assert (answer["status"], answer["parts"][0]["cell_id"]) == ("done", run.json()["cell_id"])
        assert "regression.png" in again.files()
    finally:
        again.delete()


@pytest.mark.any_runtime
def test_a_cell_is_run_again_with_other_code_as_events_and_what_goes_wrong_is_told(client: httpx2.Client) -> None:
    session = Imported(client, notebook(nbformat.v4.new_code_cell("print('old')")), name="Mine")
    try:
        assert session.about["name"] == "Mine"
        (cell,) = session.cells()
        url = f"{session.path}/cells/{cell['cell_id']}/run"
        with client.stream(
            "POST", url, json={"code": "print('new')"}, headers={"Accept": "application/x-ndjson"}
        ) as answer:
            events = [json.loads(line) for line in answer.iter_lines()]
        assert [event["text"] for event in events if event["type"] == "stream"] == ["new\n"]
        assert [event["type"] for event in events][-2:] == ["cell_finished", "turn_finished"]
        assert [one["code"] for one in session.cells()] == ["print('old')", "print('new')"]
        assert client.post(url, json={"code": "1/0"}).json()["status"] == "error"
        missing = client.post(f"{session.path}/cells/{'0' * 32}/run", json={})
        assert (missing.status_code, missing.json()["code"]) == (404, "cell_not_found")
        assert len(client.get(f"{session.path}/messages").json()) == 6
        there = client.post(url, json={"in_place": True}).json()
        assert (there["cell_id"], there["outputs"][0]["text"]) == (cell["cell_id"], "old\n")
        assert len(client.get(f"{session.path}/messages").json()) == 6
        assert session.cells()[0]["execution_count"] == there["execution_count"] == 3
        assert [one["code"] for one in session.cells()] == ["print('old')", "print('new')", "1/0"]
    finally:
        session.delete()


@pytest.mark.any_runtime
@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"no notebook", 422, "bad_notebook"),
        (b"", 422, "bad_notebook"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "sql", "source": ""}]}', 422, "bad_notebook"),
        (b" " * (33 * 2**20), 413, "body_too_large"),
    ],
)
def test_a_bad_notebook_is_told_and_leaves_nothing(
    client: httpx2.Client, stack: Stack, content: bytes, status: int, code: str
) -> None:
    def all_there_is() -> object:
        folders = stack.folder / "data" / "sessions"
        return client.get("/v1/sessions").json(), sorted(os.listdir(folders) if folders.is_dir() else [])

    before = all_there_is()
    answer = client.post("/v1/sessions/import", content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert all_there_is() == before


@pytest.mark.any_runtime
def test_a_notebook_of_a_profile_that_is_too_small_or_unknown_is_told_and_leaves_nothing(client: httpx2.Client) -> None:
    before = client.get("/v1/sessions").json()
    picture = {"output_type": "display_data", "data": {"image/png": "A" * (9 * 2**20)}}
    cell = {"cell_type": "code", "source": "1", "outputs": [picture] * 3}
    large = json.dumps({"nbformat": 4, "cells": [cell]}).encode()
    answer = client.post("/v1/sessions/import", content=large, params={"profile": "no-such"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_profile")
    assert client.get("/v1/sessions").json() == before


@pytest.mark.any_runtime
def test_an_archive_of_hundreds_of_files_is_theirs_byte_for_byte(make_session: MakeSession) -> None:
    session = make_session(name="Wide/world")
    files = {f"d{number % 7}/e {number:04} é.csv": (b"%d," % number) * (number % 50) for number in range(300)}
    for name, content in files.items():
        session.put(quote(name), content)
    assert session.files() == {name: len(content) for name, content in files.items()}
    with session.client.stream("GET", f"{session.path}/archive") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].startswith('attachment; filename="Wide_world.zip"')
        assert "sandbox" in answer.headers["content-security-policy"]
        content = b"".join(answer.iter_raw())
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == files
    assert session.client.delete(f"{session.path}/files/d0").status_code == 204
    assert {name.split("/")[0] for name in session.files()} == {f"d{number}" for number in range(1, 7)}


@pytest.mark.any_runtime
def test_an_archive_that_is_broken_off_leaves_no_file_open(session: ApiSession, stack: Stack) -> None:
    session.put("big.bin", os.urandom(64 * 2**20))
    assert stack.orchestrator is not None
    descriptors = f"/proc/{stack.orchestrator.pid}/fd"

    def is_open() -> bool:
        found = [os.readlink(f"{descriptors}/{one}") for one in os.listdir(descriptors) if one.isdecimal()]
        return any(one.endswith("big.bin") for one in found)

    with stack.client() as leaving, leaving.stream("GET", f"{session.path}/archive") as answer:
        next(answer.iter_raw())
        assert is_open()
    wait_for(lambda: not is_open(), "the file to be closed")


@pytest.mark.any_runtime
def test_uploads_are_taken_back_after_a_restart_too_and_names_change(own_stack: Stack) -> None:
    with own_stack.client() as client:
        session = ApiSession(client)
        url = f"{session.path}/files/d/a.csv"
        for number, content in enumerate((b"one", b"", b"three")):
            answer = client.put(url, content=content)
            assert answer.json() | {"modified_at": ""} == {
                "path": "d/a.csv",
                "size": len(content),
                "mime_type": "text/csv",
                "modified_at": "",
                "replaced": number > 0,
            }
    own_stack.kill(own_stack.orchestrator)
    own_stack.start_orchestrator()
    with own_stack.client() as client:
        assert client.post(f"{url}/undo").status_code == 204
        assert client.get(url).content == b""
        moved = client.post(f"{url}/rename", json={"to": "e/b.csv"})
        assert (moved.status_code, moved.json()["path"], moved.json()["size"]) == (200, "e/b.csv", 0)
        client.put(url, content=b"another")
        taken = client.post(f"{session.path}/files/e/b.csv/rename", json={"to": "d/a.csv"})
        assert (taken.status_code, taken.json()["code"]) == (409, "file_exists")
        assert client.post(f"{session.path}/files/e/b.csv/undo").status_code == 204
        assert client.get(f"{session.path}/files/e/b.csv").content == b"one"
        assert client.post(f"{session.path}/files/e/b.csv/undo").status_code == 204
        none = client.post(f"{session.path}/files/e/b.csv/undo")
        assert (none.status_code, none.json()["code"]) == (404, "nothing_to_undo")
        assert client.post(f"{session.path}/files/x/rename", json={"to": "y"}).status_code == 404
        assert client.post(f"{url}/rename", json={"to": "../y"}).json()["code"] == "bad_path"
        client.delete(session.path)
