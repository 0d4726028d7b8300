"""What stands around the conversation, as a person uses it: a real browser, the real page, a stand-in of the API."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import picture, session_of
from tests.browser.panels_site import running_fake_api, running_page, running_proxy
from tests.browser.prefix_proxy import PREFIX

SLOW = 60_000
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What a drop is for a page: files with their content, made where the browser is.
DROP = """(target, files) => {
  const carried = new DataTransfer();
  for (const [name, text] of files) carried.items.add(new File([text], name));
  for (const kind of ['dragover', 'drop']) {
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
  }
}"""
PASTE = """([name, text]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([text], name));
  document.body.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: carried }));
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("panels")


@pytest.fixture(scope="module")
def api_url(folder: Path) -> Iterator[str]:
    with running_fake_api(folder) as url:
        yield url


@pytest.fixture(scope="module")
def page_url(folder: Path, api_url: str) -> Iterator[str]:
    with running_page(folder, api_url) as url:
        yield url


@pytest.fixture(scope="module")
def beneath(folder: Path, api_url: str) -> Iterator[str]:
    with running_page(folder, api_url, PREFIX) as page, running_proxy(folder, page) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    yield made
    made.close()


def opened(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """Open the page; the list gets what is asked of anybody but it."""
    page = context.new_page()
    foreign: list[str] = []
    local = (url, "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(local) else foreign.append(request.url))
    page.goto(url)
    page.locator("#prompt textarea").wait_for(timeout=SLOW)
    return page, foreign


@pytest.fixture
def page(context: BrowserContext, page_url: str) -> Iterator[Page]:
    page, foreign = opened(context, page_url)
    yield page
    assert foreign == []


@pytest.fixture
def settings(api_url: str) -> Iterator[dict[str, Any]]:
    """The reader's settings at their beginning, and after the test again."""
    path = f"{api_url}/v1/me/settings"
    before = httpx2.get(path, trust_env=False).json()
    yield before
    httpx2.put(path, json=before, trust_env=False)


def drop(page: Page, where: str, files: list[tuple[str, str]]) -> None:
    page.locator(where).evaluate(DROP, files)


def row(page: Page, path: str) -> Any:
    return page.locator(f"#files [data-path={json.dumps(path, ensure_ascii=False)}]")


def text_of_file(page: Page, path: str) -> str:
    return str(page.evaluate("async (url) => (await fetch(url)).text()", f"files/{session_of(page)}/{path}"))


def violations(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        "async (tags) => (await axe.run(document, { runOnly: { type: 'tag', values: tags }, iframes: false }))"
        ".violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 160)}`))",
        WCAG,
    )
    return [str(each) for each in found]


def test_files_are_dropped_pasted_looked_into_renamed_taken_back_and_fetched(page: Page, tmp_path: Path) -> None:
    rows = "day;sum\n" + "\n".join(
        f'2026-01-{day:02d};"<img src=x onerror=document.title=1>, {day}"' for day in range(1, 29)
    )
    drop(page, "#files-panel", [("sales.csv", rows), ("empty.txt", ""), ("名前 #1.txt", "hello")])
    expect(page.locator("#files .gb-uploaded")).to_contain_text("3 files are uploaded.", timeout=SLOW)
    page.evaluate(PASTE, ["pasted.md", "# from the clipboard"])
    expect(row(page, "pasted.md")).to_be_visible(timeout=SLOW)

    row(page, "sales.csv").locator(".gb-open").click()
    preview = page.locator("dialog .gb-preview")
    expect(preview.locator("tbody tr")).to_have_count(28, timeout=SLOW)
    expect(preview.locator("tbody tr").first.locator("td").nth(1)).to_have_text(
        "<img src=x onerror=document.title=1>, 1"
    )
    picture(page, "files-preview")
    page.keyboard.press("Escape")
    row(page, "empty.txt").locator(".gb-open").click()
    expect(preview).to_contain_text("This file is empty.", timeout=SLOW)
    page.keyboard.press("Escape")
    assert page.title() == "Glovebox"

    row(page, "名前 #1.txt").hover()
    row(page, "名前 #1.txt").get_by_role("button", name="Rename").click()
    page.locator("#files .gb-renames input").fill("notes/名前.txt")
    page.keyboard.press("Enter")
    page.locator("#files [data-folder=notes] .gb-open").first.click(timeout=SLOW)
    expect(row(page, "notes/名前.txt")).to_be_visible(timeout=SLOW)
    for old, new in (("notes", "kept.1"), ("kept.1", "notes")):
        row(page, old).locator(".gb-line-of").first.hover()
        row(page, old).get_by_role("button", name=f"Rename {old}").click()
        page.locator("#files .gb-renames input").fill(new)
        picture(page, "folder-rename")
        page.keyboard.press("Enter")
        expect(row(page, f"{new}/名前.txt")).to_be_visible(timeout=SLOW)

    drop(page, "#files [data-folder=notes]", [("名前.txt", "another")])
    expect(page.locator("#files .gb-uploaded")).to_contain_text("in place of the old one", timeout=SLOW)
    assert text_of_file(page, "notes/名前.txt") == "another"
    picture(page, "files")
    page.locator("#files .gb-uploaded .gb-link").click()
    expect(page.locator("#files .gb-uploads")).to_contain_text("undone", timeout=SLOW)
    assert text_of_file(page, "notes/名前.txt") == "hello"

    row(page, "pasted.md").hover()
    row(page, "pasted.md").get_by_role("button", name="Delete").click()
    expect(row(page, "pasted.md").get_by_role("button", name="Keep")).to_be_focused()
    row(page, "pasted.md").locator(".gb-dangerous").click()
    expect(row(page, "pasted.md")).to_have_count(0, timeout=SLOW)
    with page.expect_download() as download:
        page.locator("#files a", has_text="Download all").click()
    saved = tmp_path / "all.zip"
    download.value.save_as(saved)
    assert set(zipfile.ZipFile(saved).namelist()) == {"sales.csv", "empty.txt", "notes/名前.txt"}


def test_what_cannot_be_uploaded_is_said_and_the_rest_is_there(page: Page) -> None:
    drop(page, "#files-panel", [("forbidden.txt", "x"), ("allowed.txt", "x")])
    expect(page.locator("#files .gb-uploaded")).to_contain_text("allowed.txt is uploaded.", timeout=SLOW)
    expect(page.locator("#files [role=alert]")).to_contain_text("forbidden.txt: That name is forbidden.")


def test_a_thousand_files_and_a_large_one_go_up_with_progress(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(40_000_000))
    drop(page, "#files-panel", [("first.txt", "x")])
    expect(row(page, "first.txt")).to_be_visible(timeout=SLOW)
    many = [(f"f{number}.txt", "") for number in range(1000)]
    drop(page, "#files-panel", many)
    expect(page.locator("#files progress")).to_be_visible(timeout=SLOW)
    page.locator("#files input[type=file]").set_input_files(large)
    expect(page.locator("#files .gb-uploaded")).to_contain_text("1001 files are uploaded.", timeout=3 * SLOW)
    expect(page.locator("#files .gb-disk")).to_contain_text("1,002 files")
    expect(page.locator("#files .gb-branch")).to_contain_text("and 702 more")


def test_sessions_are_searched_put_to_sleep_and_restarted_with_a_question(page: Page) -> None:
    page.locator("#prompt textarea").fill("the budget of lighthouses")
    page.keyboard.press("Enter")
    mine = page.locator("#sessions li", has_text="lighthouses")
    expect(mine).to_be_visible(timeout=SLOW)
    page.locator("#find input[type=search]").fill("nothing has this in it")
    expect(page.locator("#find")).to_contain_text("No session has that", timeout=SLOW)
    expect(mine).to_be_hidden()
    page.locator("#find input[type=search]").fill("LIGHTHOUSES")
    expect(mine).to_be_visible(timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    expect(page.locator("#bar .gb-how")).to_have_text("awake", timeout=SLOW)
    expect(page.locator("#sessions .gb-takes").first).to_contain_text("MB", timeout=SLOW)
    page.locator("#bar button").first.click()
    page.get_by_role("button", name="Restart").click()
    expect(page.locator(".gb-menu")).to_contain_text("All variables of this session will be lost.")
    page.locator(".gb-menu .gb-dangerous").click()
    expect(page.locator(".gb-menu")).to_contain_text("Python is fresh now.", timeout=SLOW)
    picture(page, "session-menu")
    page.get_by_role("button", name="Put to sleep").click()
    expect(page.locator("#bar .gb-how")).to_have_text("asleep", timeout=SLOW)


def test_a_notebook_is_imported_by_the_button_or_a_drop_and_what_is_none_is_told(page: Page, tmp_path: Path) -> None:
    chart = {"mark": "bar", "data": {"values": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]}}
    chart["encoding"] = {name: {"field": field, "type": "ordinal"} for name, field in (("x", "a"), ("y", "b"))}
    shown = {"output_type": "display_data", "data": {"application/vnd.vegalite.v6.json": chart}, "metadata": {}}
    cell = {"cell_type": "code", "source": ["chart"], "outputs": [shown]}
    notebook = tmp_path / "Bars of May.ipynb"
    notebook.write_text(json.dumps({"nbformat": 4, "cells": [cell]}))
    with page.expect_file_chooser() as chooser:
        page.locator("#import").click()
    chooser.value.set_files(notebook)
    expect(page.locator("#title h1")).to_have_text("Bars of May", timeout=SLOW)
    drawn = page.frame_locator("#conversation .gb-chart").locator("svg.marks")
    expect(drawn).to_be_visible(timeout=SLOW)
    picture(page, "imported")
    drop(page, "#sessions-panel", [("broken.ipynb", "{}"), ("data.csv", "1"), ("dropped.ipynb", notebook.read_text())])
    expect(page.locator("#title h1")).to_have_text("dropped", timeout=SLOW)
    expect(page.locator("#find [role=alert]").first).to_have_text("broken.ipynb: It has no list of 'cells'.")
    expect(page.locator("#find [role=alert]").last).to_contain_text("Only notebooks")
    picture(page, "import-failed")


def test_another_language_and_dark_colours_are_kept_and_so_is_what_was_typed(
    page: Page, settings: dict[str, Any], api_url: str
) -> None:
    page.locator("#prompt textarea").fill("half a thought")
    page.locator("#open-settings").click()
    page.locator("#gb-language").select_option("zh")
    page.locator("#gb-theme").select_option("dark")
    page.locator("#gb-profile").select_option("small")
    picture(page, "settings")
    page.locator("#gb-instructions").fill("Use polars.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#new-session")).to_have_text("新会话", timeout=SLOW)
    expect(page.locator("#prompt textarea")).to_have_value("half a thought", timeout=SLOW)
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#conversation")).to_contain_text("今天想弄清楚什么")
    expect(page.locator("#profile input")).to_have_value("沙箱：small", timeout=SLOW)
    stored = httpx2.get(f"{api_url}/v1/me/settings", trust_env=False).json()
    assert (stored["language"], stored["theme"], stored["instructions"]) == ("zh", "dark", "Use polars.")
    assert stored["default_profile"] == "small"
    page.locator("#prompt textarea").fill("你好")
    page.keyboard.press("Enter")
    expect(page.locator("#sessions li[data-id] .gb-dot").first).to_have_attribute(
        "aria-label", re.compile("沙箱|运行|休眠"), timeout=SLOW
    )
    picture(page, "chinese-dark")
    page.goto(page.url.split("?")[0] + "admin")
    expect(page.locator("h1")).to_have_text("管理", timeout=SLOW)


def test_a_session_has_settings_of_its_own(page: Page) -> None:
    drop(page, "#files-panel", [("a.txt", "x")])
    expect(row(page, "a.txt")).to_be_visible(timeout=SLOW)
    page.keyboard.press("Control+,")
    page.locator("#gb-tab-session").click()
    page.locator("#gb-session-model").select_option("gpt-5.5")
    page.locator("#gb-approval-ask").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#gb-settings [role=status]")).to_have_text("Saved.", timeout=SLOW)
    found = page.evaluate("async (id) => (await fetch(`api/sessions/${id}`)).json()", session_of(page))
    assert (found["model"], found["approval"]) == ("gpt-5.5", "ask")


def test_keys_open_the_sheet_and_a_new_session_and_stop(page: Page) -> None:
    page.locator("#prompt textarea").fill("what?")
    page.keyboard.press("?")
    expect(page.locator("#prompt textarea")).to_have_value("what??")
    page.keyboard.press("Control+/")
    expect(page.locator("#gb-help")).to_contain_text("Stop the answer")
    page.keyboard.press("Escape")
    expect(page.locator("#gb-help")).to_have_count(0)
    expect(page.locator("#prompt textarea")).to_be_focused()
    page.locator("#prompt textarea").fill("hold on, please")
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_visible(timeout=SLOW)
    page.keyboard.press("Escape")
    expect(page.locator("#conversation")).to_contain_text("Stopped.", timeout=SLOW)
    page.keyboard.press("Control+Shift+O")
    expect(page.locator("#conversation")).to_contain_text("What shall we find out?", timeout=SLOW)


def test_a_hidden_page_for_admins_asks_nothing_and_its_figures_move_when_it_is_seen(
    context: BrowserContext, page: Page, page_url: str
) -> None:
    page.locator("#prompt textarea").fill("something runs")
    page.keyboard.press("Enter")
    expect(page.locator("#sessions li").first).to_be_visible(timeout=SLOW)
    admin = context.new_page()
    asked: list[str] = []
    admin.on("request", lambda request: asked.append(request.url) if "sandboxes" in request.url else None)
    admin.goto(f"{page_url}/admin")
    expect(admin.locator("tbody tr").first).to_contain_text("200 MB", timeout=SLOW)
    expect(admin.locator("tbody tr").first.locator("td").nth(2)).to_have_text(re.compile(r"\d\.\d\d"), timeout=SLOW)
    admin.evaluate(
        "Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true }); window.away = true;"
    )
    # One question may be on its way; after it there is none, for longer than two pauses.
    admin.wait_for_timeout(3500)
    asked.clear()
    admin.wait_for_timeout(6500)
    assert asked == []
    admin.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(admin.locator("main")).to_be_visible()
    admin.wait_for_function("performance.now() > 0")
    picture(admin, "admin")
    admin.wait_for_timeout(500)
    assert asked
    name = admin.locator("tbody tr").first.locator("th").inner_text()
    admin.get_by_role("button", name=f"Stop {name}").first.click()
    admin.locator(".gb-asks .gb-dangerous").click()
    expect(admin.locator(".gb-asks")).to_have_count(0, timeout=SLOW)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 390)])
def test_nothing_here_fails_wcag(browser: Browser, page_url: str, scheme: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 850}, color_scheme=scheme)
    page, _ = opened(context, page_url)
    page.locator("#open-settings").wait_for(state="attached", timeout=SLOW)
    expect(page.locator("#conversation .gb-welcome")).to_be_visible(timeout=SLOW)
    found = {"first": violations(page)}
    page.locator("#prompt textarea").fill("rich please")
    page.keyboard.press("Enter")
    expect(page.locator("#conversation")).to_contain_text("a formula", timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    found["conversation"] = violations(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), "it scrolls sideways"
    page.keyboard.press("Control+,")
    for name in ("general", "session", "tokens", "account"):
        page.locator(f"#gb-tab-{name}").click()
        expect(page.locator("#gb-settings-page")).not_to_contain_text("Loading", timeout=SLOW)
        found[name] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    found["keys"] = violations(page)
    page.goto(f"{page_url}/admin")
    expect(page.locator(".gb-card").first).to_be_visible(timeout=SLOW)
    found["admin"] = violations(page)
    context.close()
    assert {where: what for where, what in found.items() if what} == {}


def test_a_phone_has_all_panels_and_nothing_scrolls_sideways(browser: Browser, page_url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page, _ = opened(context, page_url)
    for panel in ("#files-panel", "#sessions-panel"):
        page.locator(f"{panel} .toggle-button").click()
        expect(page.locator(f"{panel}.open")).to_be_visible(timeout=SLOW)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), panel
        picture(page, f"phone-{panel[1:]}")
        page.locator(f"{panel} .toggle-button").click()
        expect(page.locator(f"{panel}.open")).to_have_count(0, timeout=SLOW)
    context.close()


def test_beneath_a_prefix_of_a_proxy_everything_is_asked_beneath_it(context: BrowserContext, beneath: str) -> None:
    page, elsewhere = opened(context, beneath)
    drop(page, "#files-panel", [("a.txt", "hello")])
    expect(row(page, "a.txt")).to_be_visible(timeout=SLOW)
    page.locator("#prompt textarea").fill("rich please")
    page.keyboard.press("Enter")
    expect(page.locator("#conversation")).to_contain_text("a formula", timeout=SLOW)
    drawn = page.locator("#conversation .gb-picture img").first
    expect(drawn).to_be_visible(timeout=SLOW)
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 0", arg=drawn.element_handle(), timeout=SLOW
    )
    assert text_of_file(page, "a.txt") == "hello"
    for link in page.locator("#conversation a[href], #export a, #files a").all():
        assert str(link.evaluate("link => link.href")).startswith((beneath, "http://www.w3.org")), link.get_attribute(
            "href"
        )
    page.goto(f"{beneath}admin")
    expect(page.locator(".gb-card").first).to_be_visible(timeout=SLOW)
    assert elsewhere == []
