"""The page follows a turn of the (fake) API over a real connection: live, from the middle, and when it breaks."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from tests.unit import fake_api
from ui import events, words
from ui.api_client import Api, ApiError
from ui.applying import apply
from ui.conversation import Answer, Cell, Text
from ui.events import Event, read_event
from ui.following import Following, View
from ui.intake import Intake
from ui.luggage import Luggage, free_name, sweep
from ui.nudges import Nudges
from ui.shelf import Shelf


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        config = uvicorn.Config(fake_api.create(pace=0.006), log_level="critical", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        async with Api(f"http://127.0.0.1:{port}", "secret") as client:
            yield client
        server.should_exit = True
        await serving


@pytest.fixture
def nudges() -> Nudges:
    return Nudges()


@pytest.fixture
def following(api: Api, tmp_path: Path, nudges: Nudges) -> Callable[[str], Following]:
    return lambda session: Following(api, Intake(Shelf(tmp_path / "shelf")), nudges, session)


Make = Callable[[str], Following]


async def new_session(api: Api) -> str:
    return (await api.create_session("s", None))["id"]


async def watched(following: Following, until: Callable[[View], bool]) -> list[View]:
    """Watch until a view is as it is waited for; return all of them."""
    views: list[View] = []
    async with asyncio.timeout(60), aclosing(following.watch()) as coming:
        async for view in coming:
            views.append(view)
            if until(view):
                break
    return views


def text_of(view: View) -> str:
    return "\n".join(html for message in view.messages or [] for html in message.blocks.values())


def ended(view: View) -> bool:
    return not view.running and bool(view.messages)


async def test_a_turn_is_seen_growing_and_ends_as_it_is_stored(api: Api, following: Make) -> None:
    session = await new_session(api)
    await api.ask(session, "Show me the sales", [], None)
    views = await watched(following(session), ended)
    assert [view.running for view in views[:-1]].count(True) >= 2
    assert views[-1].pulse > views[0].pulse
    assert any("writing…" in text_of(view) for view in views)
    for expected in ("failed: KeyError", "1.4 s", "pictures/", "by_month.csv", "was repaired"):
        assert expected in text_of(views[-1])
    last_live = next(view for view in reversed(views) if view.running)
    blocks = [list(view.messages[-1].blocks) for view in (last_live, views[-1]) if view.messages]
    assert blocks[0] == blocks[1][: len(blocks[0])], "what is stored has other keys than what was live"
    assert (views[-1].usage or {})["window"] == 128_000


async def test_the_meter_shows_what_the_session_used_while_a_turn_runs_too(api: Api, following: Make) -> None:
    """Seen to fail: while a turn ran, the meter showed what its last reply had used."""
    session = await new_session(api)
    for _ in range(2):
        await api.ask(session, "Show me the sales", [], None)
        views = await watched(following(session), ended)
    running = [(view.usage or {}).get("tokens_in") for view in views if view.running]
    assert running[-1] == (views[-1].usage or {})["tokens_in"] > 4200


async def test_a_page_that_comes_later_sees_the_turn_from_its_beginning(api: Api, following: Make) -> None:
    session = await new_session(api)
    await api.ask(session, "slow one", [], None)
    await watched(following(session), lambda view: "KeyError" in text_of(view))
    again = await watched(following(session), lambda view: "KeyError" in text_of(view))
    assert "<strong>sales</strong>" in text_of(again[-1])
    await api.stop(session)
    to_the_end = await watched(following(session), ended)
    assert words.STOPPED in text_of(to_the_end[-1])


async def test_what_another_page_does_is_seen_by_a_nudge(api: Api, following: Make, nudges: Nudges) -> None:
    session = await new_session(api)
    watching = asyncio.create_task(watched(following(session), lambda view: "gb-bubble" in text_of(view)))
    await asyncio.sleep(0)
    while not nudges._waiting:
        await asyncio.sleep(0.01)
    await api.ask(session, "fail, please", [], None)
    nudges.nudge(session)
    assert "fail, please" in text_of((await watching)[-1])


async def test_a_nudge_while_nobody_waits_for_one_is_not_lost(
    api: Api, following: Make, nudges: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.following.POLLS_S", (600.0,))
    session = await new_session(api)
    views = 0
    async with asyncio.timeout(20), aclosing(following(session).watch()) as coming:
        async for _ in coming:
            views += 1
            if views == 2:
                break
            nudges.nudge(session)


async def test_a_turn_that_a_script_begins_is_seen_without_one(
    api: Api, following: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.following.POLLS_S", (600.0,))
    session = await new_session(api)
    watching = asyncio.create_task(watched(following(session), lambda view: "gb-bubble" in text_of(view)))
    await asyncio.sleep(0.1)
    await api.ask(session, "slow, please", [], None)
    assert "slow, please" in text_of((await watching)[-1])


async def test_whatever_else_is_done_to_a_session_is_seen_by_asking(
    api: Api, following: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.following.POLLS_S", (0.02,))
    session = await new_session(api)
    watching = asyncio.create_task(watched(following(session), lambda view: view.pulse == 2))
    await asyncio.sleep(0.1)
    await api.rename_session(session, "another")
    await watching


async def test_a_service_that_does_not_wait_is_not_asked_without_pause(
    api: Api, following: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def none_runs(_session: str, _seconds: int) -> bool:
        nonlocal asked
        asked += 1
        return False

    monkeypatch.setattr(api, "turn_begins", none_runs)
    session = await new_session(api)
    watching = asyncio.create_task(watched(following(session), lambda view: view.pulse == 2))
    await asyncio.sleep(0.3)
    watching.cancel()
    assert asked == 1


async def test_a_service_that_is_away_is_waited_for(api: Api, following: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.following.RETRIES_S", (0.01,))
    session = await new_session(api)
    await api.ask(session, "fail, please", [], None)
    there, asked = api.messages, 0

    async def away(session: str) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise ApiError(words.UNREACHABLE)
        return await there(session)

    monkeypatch.setattr(api, "messages", away)
    views = await watched(following(session), ended)
    assert [view.offline for view in views[:3]] == [words.UNREACHABLE] * 3
    assert views[-1].offline == ""


async def test_a_session_that_is_gone_is_said(api: Api, following: Make) -> None:
    with pytest.raises(ApiError) as raised:
        await watched(following("nobody"), ended)
    assert raised.value.status == 404


async def test_a_broken_stream_is_taken_up_where_it_broke(api: Api) -> None:
    session = await new_session(api)
    await api.ask(session, "Show me the sales", [], None)
    taken: list[str | None] = []
    whole = api.events

    class Cut:
        """Ends the first connection after some events."""

        def __init__(self, session: str, last_id: str | None) -> None:
            taken.append(last_id)
            self._opened = whole(session, last_id)
            self._first = last_id is None

        async def __aenter__(self) -> Any:
            response = await self._opened.__aenter__()
            if self._first:
                lines = response.aiter_bytes

                async def few(*args: Any) -> AsyncIterator[bytes]:
                    async for chunk in lines(*args):
                        yield chunk
                        raise httpx2.ReadError("cut")

                response.aiter_bytes = few
            return response

        async def __aexit__(self, *raised: Any) -> bool | None:
            return await self._opened.__aexit__(*raised)

    api.events = Cut  # type: ignore[method-assign,assignment]
    answer = Answer()
    async with aclosing(events.follow(api, session, pauses=(0.01, 0.01, 0.01))) as stream:
        async for event in stream:
            apply(answer, event.kind, {**event.data, "outputs": [], "output": None})
    assert answer.status == "done"
    assert len(taken) == 2
    assert taken[0] is None
    assert taken[1] is not None
    assert [type(part) for part in answer.parts][:4] == [Text, Cell, Text, Cell]
    assert answer.parts[0] == Text("I will look at the **sales** by month.\n\n")


async def test_an_api_that_stays_away_is_said() -> None:
    async with Api("http://127.0.0.1:9", None) as api:
        with pytest.raises(ApiError) as raised:
            async with aclosing(events.follow(api, "s", pauses=(0.01,))) as stream:
                await anext(stream)
        assert raised.value.detail == words.UNREACHABLE


async def test_no_turn_has_no_events_and_a_second_one_is_refused(api: Api) -> None:
    session = await new_session(api)
    async with aclosing(events.follow(api, session)) as stream:
        assert [event async for event in stream] == []
    await api.ask(session, "slow one", [], None)
    with pytest.raises(ApiError) as raised:
        await api.ask(session, "another", [], None)
    assert (raised.value.status, raised.value.code) == (409, "turn_running")
    assert "wait for it" in str(raised.value)
    await api.stop(session)


async def test_files_are_carried_over_once_under_free_names(api: Api, tmp_path: Path) -> None:
    session, luggage = await new_session(api), Luggage(api)
    (tmp_path / "one").mkdir()
    first, second = tmp_path / "data.csv", tmp_path / "one" / "data.csv"
    first.write_text("a" * 3_000_000)
    second.write_text("b")
    carried = await luggage.carry(session, [str(first), str(second)], {})
    assert list(carried.values()) == ["data.csv", "data (2).csv"]
    assert await luggage.carry(session, [str(first), str(second)], carried) == carried
    assert [entry["size"] for entry in await api.files(session)] == [1, 3_000_000]
    luggage.drop([str(first), str(second)])
    assert not second.parent.exists()
    forbidden = tmp_path / "forbidden.txt"
    forbidden.write_text("x")
    with pytest.raises(ApiError, match=r"forbidden\.txt could not be uploaded: That name is forbidden"):
        await luggage.carry(session, [str(forbidden)], {})


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        ("a.csv", set(), "a.csv"),
        ("a.csv", {"a.csv"}, "a (2).csv"),
        ("a.csv", {"a.csv", "a (2).csv"}, "a (3).csv"),
        ("a.tar.gz", {"a.tar.gz"}, "a.tar (2).gz"),
        ("README", {"README"}, "README (2)"),
        ("../x\n", set(), "_x_"),
        ("...", set(), "file"),
    ],
)
def test_a_name_that_is_taken_gets_a_number(name: str, taken: set[str], free: str) -> None:
    assert free_name(name, taken) == free


def test_what_an_earlier_process_left_is_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (1, 1))
    sweep(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("data", ["", "no JSON", "[1]", "null"])
def test_what_is_no_event_is_left_out(data: str) -> None:
    assert read_event(httpx2.ServerSentEvent("text_delta", data, "1")) is None


def test_an_events_type_is_its_kind() -> None:
    sent = httpx2.ServerSentEvent("message", '{"type": "text_delta", "text": "x"}', "7")
    assert read_event(sent) == Event("7", "text_delta", {"type": "text_delta", "text": "x"})
