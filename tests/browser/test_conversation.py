"""The conversation in a real browser; behind it a stand-in for the API plays every kind of turn (unit/fake_api.py)."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import picture
from tests.engine import ROOT
from tests.stack import free_port

SLOW = 60_000
# The stand-in that is behind a page.
APIS: dict[str, str] = {}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address, with the stand-in behind it."""
    ports = free_port(), free_port()
    folder = tmp_path_factory.mktemp("page")
    environ = dict(os.environ) | {
        "FAKE_PACE": "0.005",
        "GLOVEBOX_API": f"http://127.0.0.1:{ports[0]}",
        "GLOVEBOX_UI_PORT": str(ports[1]),
        "GLOVEBOX_TOKEN": "",
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    fake = [sys.executable, "-m", "uvicorn", "--port", str(ports[0]), "--log-level", "error",
            "--timeout-graceful-shutdown", "1", "tests.unit.fake_api:app"]  # fmt: skip
    log = (folder / "log").open("w")
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        for command in (fake, [sys.executable, "-m", "ui"])
    ]
    address = f"http://127.0.0.1:{ports[1]}"
    APIS[address] = environ["GLOVEBOX_API"]
    try:
        wait_for(address, folder / "log")
        yield address
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(20)


def wait_for(address: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx2.get(f"{address}/healthz", trust_env=False).is_success:
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.fixture
def page(browser: Browser, played: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(played)
    opened.locator(".gb-welcome").wait_for(timeout=SLOW)
    yield opened
    context.close()
    assert wrong == []


def ask(page: Page, text: str) -> None:
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")


def ask_and_wait(page: Page, text: str) -> None:
    ask(page, text)
    expect(page.locator(".gb-bubble", has_text=text).last).to_be_visible(timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    expect(page.locator(".gb-assistant").last.locator("[data-act=copy-answer]")).to_be_attached(timeout=SLOW)


def test_an_example_brings_its_table_and_a_double_click_asks_once(page: Page) -> None:
    page.locator(".gb-example").first.dblclick()
    expect(page.locator(".gb-bubble")).to_contain_text("regression", timeout=SLOW)
    expect(page.locator("#files")).to_contain_text("bike_rentals.csv", timeout=SLOW)
    expect(page.locator(".gb-is-ok").first).to_be_visible(timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    assert page.locator(".gb-user").count() == 1


def test_a_cells_card_says_how_it_stands_and_its_failure_shows_what_matters_first(page: Page) -> None:
    ask_and_wait(page, "show me the sales")
    card = page.locator(".gb-is-error").first
    expect(card).to_contain_text("failed: KeyError · 0.4 s")
    expect(card.locator(".gb-traceback").first).to_contain_text("line 4")
    expect(card.get_by_text("get_loc")).to_be_hidden()
    card.get_by_text("Whole traceback").click()
    expect(card.get_by_text("get_loc").first).to_be_visible()
    expect(card.locator(".gb-code")).to_be_hidden()
    card.locator("summary").first.click()
    expect(card.locator(".gb-code")).to_contain_text("read_csv")
    expect(page.locator("#meter")).to_contain_text("of 128k")
    picture(page, "conversation")


def test_a_table_is_sorted_and_searched_and_a_picture_opens_large(page: Page) -> None:
    ask_and_wait(page, "rich")
    expect(page.locator(".gb-math .katex").first).to_be_visible(timeout=SLOW)
    table = page.frame_locator(".gb-sheet").first
    page.locator(".gb-sheet").first.scroll_into_view_if_needed()
    column = table.locator("thead button", has_text="sold")
    column.click(timeout=SLOW)
    expect(table.locator("tbody tr").first).to_contain_text("0.5")
    column.click()
    expect(table.locator("tbody tr").first).to_contain_text("100.5")
    table.locator("input").fill("day 3")
    expect(table.locator("tbody tr")).to_have_count(11)
    picture(page, "table")
    page.locator("[data-act=look][data-kind=picture]").click()
    page.locator(".gb-look a.gb-picture").click(timeout=SLOW)
    large = page.locator("dialog.gb-large")
    expect(large.locator("img")).to_be_visible()
    with page.expect_download() as saved:
        large.get_by_text("Download").click()
    assert saved.value.suggested_filename == "chart.png"
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)


def test_questions_are_edited_answers_asked_again_and_turns_deleted(page: Page) -> None:
    ask_and_wait(page, "fail, the first")
    page.locator(".gb-error [data-act=regenerate]").click()
    branches = page.locator(".gb-assistant .gb-branches")
    expect(branches).to_contain_text("2/2", timeout=SLOW)
    branches.locator("button").first.click()
    expect(branches).to_contain_text("1/2", timeout=SLOW)
    page.locator("[data-act=regenerate-with]").click()
    models = page.locator(".gb-models")
    expect(models.locator("button").first).to_have_text("gpt-5.5", timeout=SLOW)
    picture(page, "another-model")
    models.locator("button").first.click()
    expect(branches).to_contain_text("3/3", timeout=SLOW)
    expect(page.locator(".gb-model")).to_have_text("gpt-5.5", timeout=SLOW)
    page.locator("[data-act=edit-question]").click()
    page.locator(".gb-editor textarea").fill("fail, the second")
    page.locator(".gb-editor textarea").press("Enter")
    expect(page.locator(".gb-bubble")).to_have_text("fail, the second", timeout=SLOW)
    expect(page.locator(".gb-user .gb-branches")).to_contain_text("2/2")
    expect(page.locator(".gb-error")).to_be_visible(timeout=SLOW)
    page.locator(".gb-user .gb-branches button").first.click()
    expect(page.locator(".gb-bubble")).to_have_text("fail, the first", timeout=SLOW)
    page.locator("[data-act=ask-delete]").click()
    page.locator(".gb-confirm .gb-danger").click()
    expect(page.locator(".gb-bubble", has_text="the first")).to_have_count(0, timeout=SLOW)


def test_all_cells_of_a_notebook_run_where_they_are_until_one_fails_or_somebody_stops_them(page: Page) -> None:
    for codes, said in (
        (("a = 1", "b = 2"), "All 2 cells ran."),
        (("a = 1", "raise ValueError", "b = 2"), "Cell 2 of 3 failed: ValueError"),
        (("a = 1", "wait()", "b = 2"), "Stopped at cell 2 of 3."),
    ):
        cells = [{"cell_type": "code", "source": [code], "outputs": []} for code in codes]
        content = json.dumps({"nbformat": 4, "cells": cells}).encode()
        file = {"name": "n.ipynb", "mimeType": "application/json", "buffer": content}
        with page.expect_file_chooser() as chooser:
            page.locator("#import").click()
        chooser.value.set_files([file])
        expect(page.locator(".gb-cell")).to_have_count(len(codes), timeout=SLOW)
        page.locator("[data-act=run-all]").click()
        bar = page.locator(".gb-batch")
        if "wait()" in codes:
            expect(bar).to_contain_text("Running cell 2 of 3", timeout=SLOW)
            expect(page.locator(".gb-is-running")).to_contain_text("wait()")
            picture(page, "running-all")
            bar.locator("button").click()
        expect(bar).to_contain_text(said, timeout=SLOW)
        expect(page.locator(".gb-cell").first).to_contain_text("ran a = 1", timeout=SLOW)
        expect(page.locator(".gb-cell", has_text="ran b = 2")).to_have_count(said.count("All"), timeout=SLOW)
        assert page.locator(".gb-message").count() == 2
        picture(page, "ran-all")
        bar.locator("button").click()
        expect(bar).to_have_count(0)


def test_code_waits_for_approval_and_runs_as_it_was_edited(page: Page) -> None:
    page.locator("#approval input").click()
    page.get_by_role("option", name="Ask before running code").click()
    ask(page, "show me the sales")
    page.locator("[data-act=edit-approval]").click(timeout=SLOW)
    page.locator(".gb-editor textarea").fill("print('approved')")
    page.locator(".gb-editor .gb-primary").click()
    page.locator("[data-act=refuse]").click(timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    assert "approved" in page.locator(".gb-code").first.text_content()  # type: ignore[operator]


def test_a_cell_is_edited_and_run_again_as_ones_own(page: Page) -> None:
    ask(page, "!print('mine')")
    page.locator("[data-act=edit-cell]").last.click(timeout=SLOW)
    page.locator(".gb-editor textarea").fill("print('edited')")
    page.locator(".gb-editor .gb-primary").click()
    expect(page.locator(".gb-bubble")).to_have_count(2, timeout=SLOW)
    expect(page.locator(".gb-bubble").last).to_have_text("print('edited')")
    page.locator("[data-act=run-cell]").first.click(timeout=SLOW)
    expect(page.locator(".gb-bubble")).to_have_count(3, timeout=SLOW)
    expect(page.locator(".gb-bubble").last).to_have_text("print('mine')")


def test_two_tabs_stay_in_step_and_a_message_that_comes_too_early_is_said_to(page: Page) -> None:
    ask(page, "hold on")
    expect(page.locator(".gb-cell").first).to_be_visible(timeout=SLOW)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".gb-is-error")).to_be_visible(timeout=SLOW)
    ask(other, "too early")
    expect(other.locator("#notice")).to_contain_text("An answer is being written", timeout=SLOW)
    assert other.locator("#prompt textarea").input_value() == "too early"
    page.reload()
    page.locator("#stop").click(timeout=SLOW)
    expect(other.locator("#stop")).to_be_hidden(timeout=SLOW)
    expect(other.locator("#notice")).to_be_hidden()
    expect(other.locator(".gb-assistant")).to_contain_text("Stopped.")
    other.locator("#prompt textarea").press("Enter")
    expect(page.locator(".gb-bubble").last).to_have_text("too early", timeout=SLOW)


def test_what_is_unfolded_stays_so_and_what_is_drawn_is_not_drawn_anew(page: Page) -> None:
    ask_and_wait(page, "rich")
    page.locator(".gb-fold summary").first.click()
    page.evaluate("document.querySelectorAll('iframe.gb-frame').forEach((frame) => { frame.kept = true; })")
    ask_and_wait(page, "fail, another")
    assert page.locator(".gb-fold").first.get_attribute("open") is not None
    assert page.evaluate("[...document.querySelectorAll('iframe.gb-frame')].every((frame) => frame.kept)")


def test_a_lost_connection_is_said_and_comes_back_by_itself(page: Page) -> None:
    ask_and_wait(page, "fail, once")
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".gb-offline")).to_contain_text("connection is lost", timeout=SLOW)
    page.context.set_offline(False)
    expect(page.locator(".gb-offline")).to_be_empty(timeout=SLOW)
    ask_and_wait(page, "fail, and again")


def test_what_is_typed_while_a_message_is_on_its_way_is_kept_and_what_was_not_taken_comes_back(page: Page) -> None:
    box = page.locator("#prompt textarea")
    held: list[Route] = []
    page.route("**/send", lambda route: held.append(route))
    ask(page, "fail, the first")
    expect(box).to_have_value("")
    box.fill("fail, the second")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.unroute("**/send")
    expect(page.locator(".gb-bubble")).to_have_text("fail, the first", timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    expect(box).to_have_value("fail, the second")
    box.press("Enter")
    expect(page.locator(".gb-bubble").last).to_have_text("fail, the second", timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    page.locator("#prompt input[type=file]").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"a"})
    expect(page.locator("#attached")).to_have_text("a.csv", timeout=SLOW)
    page.route("**/send", lambda route: route.abort())
    ask(page, "with a table")
    expect(page.locator("#notice")).to_contain_text("does not answer", timeout=SLOW)
    expect(box).to_have_value("with a table")
    expect(page.locator("#attached")).to_have_text("a.csv")
    page.unroute("**/send")
    box.press("Enter")
    expect(page.locator(".gb-user").last).to_contain_text("a.csv", timeout=SLOW)
    expect(page.locator("#attached")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()
    assert page.locator(".gb-user").count() == 3


def test_a_text_that_grows_is_not_laid_out_anew_and_ends_as_it_was_written(page: Page) -> None:
    ask(page, "slow, please")
    expect(page.locator(".gb-said").first).to_be_visible(timeout=SLOW)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)
    grown = page.locator(".gb-message").all_inner_texts()
    page.reload()
    expect(page.locator(".gb-assistant [data-act=copy-answer]")).to_be_attached(timeout=SLOW)
    assert page.locator(".gb-message").all_inner_texts() == grown


def test_a_long_conversation_opens_at_its_end_and_loads_only_what_is_seen(browser: Browser, played: str) -> None:
    with httpx2.Client(base_url=APIS[played], timeout=60, trust_env=False) as client:
        session = client.post("/v1/sessions", json={"name": "long"}).json()["id"]
        for number in range(15):
            with client.stream("POST", f"/v1/sessions/{session}/messages", json={"content": f"rich {number}"}) as told:
                told.read()
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.goto(f"{played}/?session={session}")
    expect(page.locator(".gb-message")).to_have_count(30, timeout=SLOW)
    expect(page.locator(".gb-bubble").last).to_be_attached()
    page.wait_for_function(
        "(() => { const box = document.querySelector('.gb-scroll');"
        " return box.scrollTop > 0 && box.scrollHeight - box.scrollTop - box.clientHeight < 40; })()"
    )
    loaded = [frame for frame in page.frames if "/frames/" in frame.url]
    assert len(loaded) < page.locator("iframe.gb-frame").count() / 2
    context.close()
