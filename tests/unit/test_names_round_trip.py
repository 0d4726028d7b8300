"""A file's name on its whole way: in a URL, on the disk, in the list, in the header of its download, and back.

The doors, the paths and the folder are the real ones; only the session behind them is made by hand.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.api import files, problems
from orchestrator.api.services import _owned, _person, _readable, _services
from orchestrator.config_quotas import Quota
from orchestrator.people.service import LOCAL
from orchestrator.sessions.disk_quota import DiskQuota
from orchestrator.workspace.folder import SessionFolder

Ask = Callable[..., httpx2.Response]
UID = 200_001 if os.getuid() == 0 else os.getuid()
MARK = "filename*=UTF-8''"
OTHERS = {"canary": b"of somebody else"}
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
PATHS = (
    st.lists(NAMES, min_size=1, max_size=4).map("/".join)
    | st.text("./\\~ a\x00\r\n\"';%:*é😀\u202e\u2028", min_size=1, max_size=16)
    | st.lists(st.sampled_from(["..", ".", "a", "b", "", "...", "~"]), min_size=1, max_size=6).map("/".join)
)


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture(scope="module")
def folder(outside: Path) -> SessionFolder:
    (outside / "canary").write_bytes(OTHERS["canary"])
    made = SessionFolder(outside / "sessions" / "s1", UID, 2**24)
    made.root.parent.mkdir()
    made.make()
    return made


@pytest.fixture(scope="module")
def ask(folder: SessionFolder) -> Iterator[Ask]:
    def touch(_: Any) -> None:
        pass

    app = problems.Api(responses=problems.REFUSED)
    problems.install(app)
    app.include_router(files.router)

    async def its_folder(make: bool = False) -> SessionFolder:
        return folder

    async def no_quota(_: str) -> Any:
        return Quota()

    live, record = SimpleNamespace(files=its_folder), SimpleNamespace(id="s1", owner=LOCAL.id)
    activity = SimpleNamespace(note=lambda *_: None)
    app.dependency_overrides[_person] = lambda: LOCAL
    app.dependency_overrides[_readable] = lambda: SimpleNamespace(record=record, live=live, shared_by=None)
    app.dependency_overrides[_owned] = lambda: (record, live)
    disk_quota = DiskQuota(no_quota, no_quota)
    app.dependency_overrides[_services] = lambda: SimpleNamespace(
        sessions=SimpleNamespace(touch=touch, disk_quota=disk_quota), activity=activity
    )
    # Starlette's own test client decodes a path twice.
    asking = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")
    with asyncio.Runner() as runner:
        yield lambda *request, **body: runner.run(asking.request(*request, **body))


def everything(root: Path) -> set[str]:
    """Return the paths of all files and links beneath a folder, but for the list of uploads that can be taken back."""
    return {os.path.join(at, name) for at, _, names in os.walk(root) for name in names if name != "uploads.json"}


def asked(ask: Ask, method: str, name: str, content: bytes | None = None) -> httpx2.Response:
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())  # dots as well: the client would tidy them away
    return ask(method, f"/v1/sessions/s1/files/{encoded}", content=content)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS)
@example("a/../../../canary")
@example("données/été 1.csv")
@example("a;b=c?d#e&f%2fg")
@example("<img src=x onerror=alert(1)>.png")
@example("x" * 255)
def test_a_name_comes_back_as_it_was_given_or_is_refused_and_leaves_nothing(
    ask: Ask, folder: SessionFolder, outside: Path, name: str
) -> None:
    before = everything(outside)
    put = asked(ask, "PUT", name, name.encode())
    if put.status_code == 422:
        assert put.json()["code"] == "bad_path"
        assert everything(outside) == before
        return
    assert (put.status_code, put.json()["path"]) == (201, name)
    assert everything(outside) - before == {os.path.join(folder.root, "workspace", name)}
    listed = ask("GET", "/v1/sessions/s1/files").json()
    assert [file["path"] for file in listed] == [name]
    got = asked(ask, "GET", name)
    assert (got.status_code, got.content) == (200, name.encode())
    disposition = got.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert unquote(disposition.partition(MARK)[2], errors="strict") == name.split("/")[-1]
    for depth in range(name.count("/") + 1):  # the file, then the folders that were made for it
        assert asked(ask, "DELETE", name.rsplit("/", depth)[0]).status_code == 204
    assert everything(outside) == before
    assert (outside / "canary").read_bytes() == OTHERS["canary"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS)
@example("../../../canary")
@example("..//..//..//canary")
def test_no_name_reads_or_deletes_anything_outside(ask: Ask, outside: Path, name: str) -> None:
    before = everything(outside)
    for method in ("GET", "DELETE"):
        assert asked(ask, method, name).status_code in (404, 422)
    assert everything(outside) == before
