"""The main job, as a person does it: a real browser, the real stack, real containers."""

from pathlib import Path

import nbformat
from playwright.sync_api import Page, expect

from tests.browser.conftest import picture, session_of

SLOW = 60_000


def ask(page: Page, text: str) -> None:
    page.locator("#prompt textarea").fill(text)
    page.locator("#prompt textarea").press("Enter")


def attach(page: Page, path: Path) -> None:
    page.locator("#prompt input[type=file]").first.set_input_files(path)
    page.locator("#prompt [aria-label='File thumbnail']").first.wait_for(timeout=SLOW)


# Looks at each change, as no test can that asks now and then.
NOTE_WHAT_IS_SHOWN = """() => {
  const conversation = document.querySelector('#conversation'), lengths = new Set();
  const seen = window.seen = { lengths: 0, running: false, half: false, live: false };
  new MutationObserver(() => {
    const text = conversation.innerText;
    seen.lengths = lengths.add(text.length).size;
    seen.running ||= /running/i.test(text);
    seen.half ||= text.includes('import numpy') && !text.includes('print(data.shape)');
    seen.live ||= text.includes('fold 1/5') && !text.includes('fold 5/5');
  }).observe(conversation, { subtree: true, childList: true, characterData: true });
}"""


def conversation_text(page: Page) -> str:
    return page.locator("#conversation").inner_text()


def test_a_table_is_uploaded_fitted_repaired_drawn_downloaded_and_exported(
    page: Page, breast_cancer: Path, tmp_path: Path
) -> None:
    page.evaluate(NOTE_WHAT_IS_SHOWN)
    attach(page, breast_cancer)
    ask(page, "Fit a linear regression and plot it")
    expect(page.locator("#conversation")).to_contain_text("The predictions are in", timeout=120_000)
    seen = page.evaluate("window.seen")
    # A slow machine shows less of it; a text that came at once with each cell would have a handful of lengths.
    assert seen["lengths"] > 10, "the text did not stream"
    assert seen["running"], "no cell was seen running"
    assert seen["half"], "half-written code was not seen"
    assert seen["live"], "the cell's output came only at its end"
    picture(page, "regression")

    assert "could not convert string" in conversation_text(page), "the failed first attempt is not shown"
    drawn = page.locator(
        "#conversation img[alt*='icture'], #conversation img[alt*='lot'], #conversation img[alt*='igure']"
    )
    expect(drawn.first).to_be_visible(timeout=SLOW)
    assert drawn.first.evaluate("image => image.naturalWidth") > 300

    with page.expect_download() as download:
        page.locator("#conversation a", has_text="predictions.csv").first.click()
    saved = tmp_path / "predictions.csv"
    download.value.save_as(saved)
    assert saved.read_text().startswith("row,actual,predicted")

    with page.expect_download() as exported:
        page.locator("#export a").first.click()
    notebook_path = tmp_path / "conversation.ipynb"
    exported.value.save_as(notebook_path)
    notebook = nbformat.read(notebook_path, 4)
    nbformat.validate(notebook)
    # That it runs again to the same outputs is tested with the same table in integration/test_chat.py.
    assert sum(len(pictures_of(cell)) for cell in notebook.cells) == 1


def pictures_of(cell: nbformat.NotebookNode) -> list[str]:
    return ["".join(o.data["image/png"]).strip() for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]


def test_the_first_page_says_what_it_is_and_its_examples_can_be_clicked(page: Page) -> None:
    expect(page.locator("#banner")).to_contain_text("demo", timeout=SLOW)
    picture(page, "first-use")
    page.locator("#conversation button", has_text="regression").first.click()
    expect(page.locator("#conversation img").first).to_be_visible(timeout=SLOW)
    expect(page.locator("#files")).to_contain_text("bike_rentals.csv")
    picture(page, "example")


def test_a_reload_in_the_middle_of_a_cell_goes_on_streaming(page: Page) -> None:
    ask(page, "demo:run import time\nfor i in range(10):\n    print('tick', i, flush=True); time.sleep(0.7)")
    expect(page.locator("#conversation")).to_contain_text("tick 1", timeout=SLOW)
    page.reload()
    expect(page.locator("#conversation")).to_contain_text("tick 9", timeout=SLOW)


def test_stop_ends_a_cell_and_says_so(page: Page) -> None:
    ask(page, "demo:run import time\nprint('go', flush=True)\ntime.sleep(100)")
    # What it prints, not its code: a stop that comes before the cell runs is told otherwise.
    expect(page.locator(".gb-out")).to_contain_text("go", timeout=SLOW)
    page.locator("#stop").click()
    expect(page.locator("#conversation")).to_contain_text("interrupt", timeout=SLOW, ignore_case=True)
    expect(page.locator("#stop")).to_be_hidden(timeout=SLOW)


def test_several_files_are_uploaded_and_can_be_fetched_from_the_panel(page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / "one.csv", tmp_path / "two 名前.txt"]
    for path in paths:
        path.write_text(f"x\n{path.name}\n")
    page.locator("#prompt input[type=file]").first.set_input_files(paths)
    expect(page.locator("#prompt [aria-label='File thumbnail']")).to_have_count(2, timeout=SLOW)
    ask(page, "hello")
    for path in paths:
        expect(page.locator("#files")).to_contain_text(path.name, timeout=SLOW)
    page.locator("#files [data-path]", has_text="two").hover()
    with page.expect_download() as download:
        page.locator("#files a", has_text="two").first.click()
    assert Path(download.value.path()).read_text() == "x\ntwo 名前.txt\n"
    assert download.value.suggested_filename == "two 名前.txt"


def test_html_and_scripts_in_outputs_do_not_run_in_the_page(page: Page) -> None:
    ask(
        page,
        "demo:run from IPython.display import HTML, Javascript, display\n"
        'display(HTML(\'<b>bold</b><script>parent.document.title="owned"</script>'
        "<img src=x onerror=\"window.top.document.title=\\'owned\\'\">'))\n"
        "display(Javascript('document.title=\"owned\"'))\n"
        "print('<img src=x onerror=\"document.title=1\">')\nprint('end')",
    )
    expect(page.locator("#conversation")).to_contain_text("end", timeout=SLOW)
    page.wait_for_timeout(1500)
    assert page.title() == "Glovebox"
    for frame in page.locator("iframe").all():
        assert "allow-same-origin" not in (frame.get_attribute("sandbox") or "allow-same-origin")


def test_a_new_session_is_empty_and_the_old_one_is_still_there(page: Page) -> None:
    ask(page, "demo:run kept = 'the old session'; print(kept)")
    expect(page.locator("#conversation")).to_contain_text("the old session", timeout=SLOW)
    old = session_of(page)
    page.locator("#new-session").click()
    page.wait_for_timeout(1500)
    assert "the old session" not in conversation_text(page)
    page.goto(page.url.split("?")[0] + f"?session={old}")
    expect(page.locator("#conversation")).to_contain_text("the old session", timeout=SLOW)


def test_a_phones_width_shows_the_conversation_and_the_prompt(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    page.locator("#prompt textarea").wait_for(timeout=SLOW)
    ask(page, "hello")
    expect(page.locator("#conversation")).to_contain_text("demo", timeout=SLOW)
    page.wait_for_timeout(1000)
    picture(page, "phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), "the page scrolls sideways"


def test_what_goes_wrong_is_said_in_the_page(page: Page) -> None:
    ask(page, "demo:http-401")
    expect(page.locator("#conversation")).to_contain_text("refused the key", timeout=SLOW)
    ask(page, "demo:run print('and it goes on')")
    expect(page.locator("#conversation")).to_contain_text("and it goes on", timeout=SLOW)
