"""An exported page in a real browser: it shows what it should, runs nothing, and asks nobody for anything."""

from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser

from orchestrator.notebook.page import page
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
ELSEWHERE = "http://127.0.0.1:9"
RUNS = "<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)></svg>"
TABLE = (
    f"{RUNS}<table>" + "".join(f"<tr><td id=c{n}>{n * n}</td></tr>" for n in range(6)) + f"</table>"
    f"<img src={ELSEWHERE}/x.png><style>@import '{ELSEWHERE}/x.css'</style><a id=out href={ELSEWHERE}/a>out</a>"
)
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='80' height='40' onload='alert(1)'><script>alert(1)</script>"
    f"<image href='{ELSEWHERE}/i.png' width='9' height='9'/><rect width='80' height='40'/></svg>"
)
TEXT = f"{RUNS}\n\n![x]({ELSEWHERE}/p.png)\n\n[in](javascript:alert(1))"


def test_a_page_full_of_hostile_things_is_shown_and_does_nothing(browser: Browser, tmp_path: Path) -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": f"\x1b[31mred\x1b[0m {RUNS}"},
        {"output_type": "display_data", "data": {"text/html": TABLE}, "metadata": {}},
        {"output_type": "display_data", "data": {"image/svg+xml": SVG}, "metadata": {}},
        {"output_type": "display_data", "data": {"text/markdown": TEXT}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": RUNS, "traceback": [RUNS]},
    ]
    cell = CellRecord("c" * 32, "s", "a", RUNS, START, "error", 1, outputs)
    said = [
        MessageRecord("q", "s", "user", START, content=TEXT, attachments=[RUNS]),
        MessageRecord("a", "s", "assistant", START, parts=[{"type": "text", "round": 0, "text": TEXT}]),
    ]
    session = SessionRecord("s", "o", RUNS, "standard", 1, "t", "k", START, START)
    file = tmp_path / "page.html"
    file.write_bytes(page(session, said, [cell]))

    opened = browser.new_page()
    asked: list[str] = []
    refused: list[str] = []
    ran: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    # Chromium tells of what it only thought of, too: nothing left the browser that its policy refused.
    opened.on("requestfailed", lambda request: refused.append(request.url) if request.failure == "csp" else None)
    opened.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    opened.goto(file.as_uri())
    frame = opened.frame_locator("iframe")
    assert frame.locator("#c5").inner_text() == "25"
    assert opened.locator(".ansi-f1").inner_text() == "red"
    assert opened.locator("img[src^='data:image/svg']").evaluate("image => image.naturalWidth") == 80
    assert opened.title() == RUNS
    frame.locator("#out").click(force=True)
    opened.locator("a", has_text="x").first.wait_for()
    opened.wait_for_load_state("networkidle")
    assert ran == []
    assert [url for url in asked if not url.startswith(("data:", "file:", "about:")) and url not in refused] == []
    opened.close()
