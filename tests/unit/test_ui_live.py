"""The live door: only what changed is said, and the page ends up with what is to be shown."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import fake_api
from ui import live, words
from ui.api_client import Api
from ui.first_use import examples, welcome
from ui.following import Following
from ui.intake import Intake
from ui.logins import Logins
from ui.meter import meter
from ui.nudges import Nudges
from ui.patches import Sent, change
from ui.render import Rendered
from ui.shelf import Shelf
from ui.tracebacks import read_traceback


class Page:
    """Applies the lines as conversation.js does, in units of UTF-16."""

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.blocks: dict[str, str] = {}
        self.state: dict[str, Any] = {}

    def take(self, line: dict[str, Any]) -> None:
        for key, told in line.get("set", {}).items():
            self.blocks[key] = told if isinstance(told, str) else patched(self.blocks[key], *told)
        self.order = line.get("order", self.order)
        self.state |= line.get("state", {})

    def text(self) -> str:
        return "\n".join(self.blocks[key] for _, _, keys in self.order for key in keys)


def patched(old: str, start: int, end: int, text: str) -> str:
    units = old.encode("utf-16-le", "surrogatepass")
    return (units[: 2 * start] + text.encode("utf-16-le", "surrogatepass") + units[2 * end :]).decode(
        "utf-16-le", "surrogatepass"
    )


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_patch_makes_the_new_text_of_the_old_one(before: str, old: str, new: str, after: str) -> None:
    long = "x€🎈" * 300
    one, other = long + before + old + after + long, long + before + new + after + long
    told = change(one, other)
    assert isinstance(told, list)
    assert patched(one, *told) == other


def test_only_what_changed_is_said() -> None:
    sent = Sent()
    grown = "<p>" + "word " * 500 + "</p>"
    first = [Rendered("q", "user", {"q:q": "asked"}), Rendered("a", "assistant", {"a:0": grown})]
    assert set(sent.line(first, {"running": True})) == {"order", "set", "state"}
    assert sent.line(first, {"running": True}) == {}
    longer = [first[0], Rendered("a", "assistant", {"a:0": grown.replace("</p>", "more</p>")})]
    assert sent.line(longer, {"running": True}) == {"set": {"a:0": [2503, 2503, "more"]}}
    assert sent.line(None, {"running": False}) == {"state": {"running": False}}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, Api]]:
    transport = httpx2.ASGITransport(fake_api.create())
    async with Api("http://api", None, transport) as api:
        app = FastAPI()
        app.include_router(live.live_doors(Logins(api), Intake(Shelf(tmp_path / "shelf")), Nudges()))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://page") as browser:
            yield browser, api


async def test_a_page_ends_up_with_what_is_to_be_shown(tmp_path: Path) -> None:
    transport = httpx2.ASGITransport(fake_api.create())
    async with Api("http://api", None, transport) as api:
        session = (await api.create_session("s", None))["id"]
        await api.ask(session, "rich", [], None)
        following = Following(api, Intake(Shelf(tmp_path / "shelf")), Nudges(), session)
        page = Page()
        async with asyncio.timeout(60), aclosing(live._lines(following)) as lines:  # type: ignore[type-var]
            async for line in lines:
                page.take(json.loads(line))
                if page.state.get("running") is False and "List&lt;int&gt;" in page.text():
                    break
    assert [role for _, role, _ in page.order] == ["user", "assistant"]
    for piece in ("gb-math", ".table", ".plotly", "näme with space.txt", "rich"):
        assert piece in page.text()


async def test_without_a_session_the_door_shows_what_can_be_asked(door: tuple[httpx2.AsyncClient, Api]) -> None:
    browser, _ = door
    told = json.loads((await browser.get("/live")).text)
    assert told["order"] == []
    assert words.EXAMPLES[0][1] in told["welcome"]
    assert (await browser.get("/live/nobody")).status_code == 404


async def test_all_that_a_cell_printed_can_be_saved(door: tuple[httpx2.AsyncClient, Api]) -> None:
    browser, api = door
    session = (await api.create_session("s", None))["id"]
    await api.ask(session, "flood", [], None)
    async with asyncio.timeout(60):
        while (await api.session(session))["state"] == "busy":
            await asyncio.sleep(0.01)
    cell = next(part for part in (await api.messages(session))[-1]["parts"] if part["type"] == "cell")
    saved = await browser.get(f"/printed/{session}/{cell['cell_id']}")
    assert saved.text.count("\n") == 4000
    assert "attachment" in saved.headers["content-disposition"]
    assert (await browser.get(f"/printed/{session}/nothing")).status_code == 404
    assert (await browser.get("/printed/nobody/x")).status_code == 404


def test_the_meter_says_what_is_known_and_nothing_else() -> None:
    assert meter(None) == meter({"tokens_in": None, "cost": None, "window": 10}) == ""
    told = meter({"tokens_in": 41_000, "tokens_out": 4_200, "cost": 0.1234, "window_tokens": 9_500, "window": 128_000})
    for piece in ("9.5k of 128k", "45k tokens", "cost 0.12", "width:7%"):
        assert piece in told
    assert "gb-nearly-full" in meter({"window_tokens": 127, "window": 128})
    assert "<b" not in meter({"tokens_in": "<b>", "cost": "<b>"})


def test_every_example_has_its_table_and_its_words() -> None:
    for example in examples():
        assert example.table.is_file()
        assert example.table.name in example.question
    assert welcome().count('data-act="example"') == len(examples()) == 3


FRAMES = ["---", "KeyError  Traceback (most recent call last)", "File /opt/pandas/x.py:1", "Cell In[1], line 4",
          "File \x1b[32m/opt/pandas/y.py:9\x1b[0m <b>", "KeyError: 'x'"]  # fmt: skip


def test_of_a_traceback_the_frame_of_ones_own_code_comes_first() -> None:
    read = read_traceback(FRAMES)
    assert read.frame == "Cell In[1], line 4"
    assert '<span class="gb-green">/opt/pandas/y.py:9</span> &lt;b&gt;' in read.whole
    assert read_traceback([*FRAMES[:3], FRAMES[5]]).whole == ""
    syntax = ["  Cell In[1], line 1\n    x = <\n        ^\nSyntaxError: invalid syntax\n"]
    assert "x = &lt;" in read_traceback(syntax).frame
    assert read_traceback([]) == read_traceback([""])
    assert len(read_traceback(["x" * 1_000_000]).whole) < 100_000
