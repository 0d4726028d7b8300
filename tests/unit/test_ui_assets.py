"""Gradio's bundles and our scripts on their way to a browser: packed, kept, and all named in the document."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from ui.assets import BROWSER, GRADIO_INDEX, Assets, our_folder, our_scripts, told_of
from ui.bundles import needed

KINDS = ("column", "dropdown", "html", "multimodaltextbox", "sidebar", "state", "textbox")


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    app = Assets(PlainTextResponse("passed on"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://page") as client:
        yield client


def test_the_bundles_of_this_gradio_are_understood() -> None:
    """What begins each page, and what each kind of component needs; were they written otherwise, this says so."""
    found = needed(GRADIO_INDEX, KINDS)
    beginnings = {name.split("-")[0] for name in found}
    assert {"index", "Index", "core", "Blocks", "HTML"} <= beginnings
    more = {kind: set(needed(GRADIO_INDEX, (kind,))) for kind in ("sidebar", "multimodaltextbox", "dropdown")}
    common = set.intersection(*more.values())
    assert all(names - common for names in more.values())
    assert all((GRADIO_INDEX.parent / "assets" / name).is_file() for name in found)
    # Of several hundred: what other components need is not asked for.
    assert len(found) < 100


def test_bundles_that_are_written_otherwise_only_make_it_slower(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-1.js").write_text("import('./core-2.js')")
    (tmp_path / "index.html").write_text('<script src="./assets/index-1.js"></script><link href="./assets/gone.css">')
    assert needed(tmp_path / "index.html", KINDS) == ["index-1.js"]


def test_a_script_comes_with_all_that_it_imports() -> None:
    found = our_scripts("panels.js")
    imported = {name for script in found for name in re.findall(r"'\./([\w.]+\.js)'", (BROWSER / script).read_text())}
    assert imported == set(found) - {"panels.js"}
    told = told_of(["a-1.js", "b-2.css"], "panels.js")
    assert all(f'<link rel="modulepreload" href="{our_folder()}/{name}">' in told for name in found)
    assert '<link rel="modulepreload" crossorigin href="/assets/a-1.js">' in told
    assert '<link rel="preload" as="style" crossorigin href="/assets/b-2.css">' in told


async def test_bundles_are_packed_and_kept(browser: httpx2.AsyncClient) -> None:
    name = needed(GRADIO_INDEX, ())[0]
    answer = await browser.get(f"/assets/{name}", headers={"accept-encoding": "gzip, br"})
    assert answer.text == (GRADIO_INDEX.parent / "assets" / name).read_text()
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    ours = await browser.get(f"{our_folder()}/panels.js")
    assert (ours.text, ours.headers["content-type"]) == (
        (BROWSER / "panels.js").read_text(),
        "text/javascript; charset=utf-8",
    )


@pytest.mark.parametrize(
    "path", ["/", "/assets/none.js", "/assets/../index.html", "/browser/0123456789abcdef/panels.js", "/browser/core.js"]
)
async def test_all_else_is_passed_on(browser: httpx2.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).text == "passed on"


async def test_who_unpacks_nothing_is_passed_on(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get(f"{our_folder()}/panels.js", headers={"accept-encoding": "identity"})
    assert answer.text == "passed on"
