"""Watching a session: its conversation as it is, then as it grows, at most ten times a second.

The run is not here: it is in the orchestrator, and goes on when nobody watches. Of the watchers of one browser page
only the newest may speak, so that a turn that is still being followed never overwrites a session opened since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from ui import events, snippets
from ui.api_client import Api, ApiError
from ui.conversation import Answer, Message, apply, from_messages, is_running
from ui.intake import Intake
from ui.render import ChatMessage, Renderer, count_pictures

TICK_S = 0.1
# A page that is gone is noticed only when something is said to it.
HEARTBEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows next; `messages` is None when nothing changed."""

    messages: list[ChatMessage] | None
    running: bool
    files_changed: bool = False


class Watchers:
    """Which watcher may speak to which page: the one that came last."""

    def __init__(self) -> None:
        self._newest: dict[str, object] = {}

    def enter(self, page: str) -> object:
        """Register a watcher of a page, in place of the one before it."""
        watcher = self._newest[page] = object()
        return watcher

    def may_speak(self, page: str, watcher: object) -> bool:
        """Tell whether this watcher is still the page's newest."""
        return self._newest.get(page) is watcher

    def leave(self, page: str) -> None:
        """Silence whoever watches for this page."""
        self._newest.pop(page, None)


class _Live:
    """The answer that is being written, fed by a task of its own."""

    def __init__(self, api: Api, intake: Intake, session: str) -> None:
        self.answer = Answer()
        self.files_changed = False
        self.happened = asyncio.Event()
        self._api, self._intake, self._session = api, intake, session

    async def feed(self) -> None:
        try:
            async with aclosing(events.follow(self._api, self._session)) as stream:
                async for event in stream:
                    data = event.data
                    if "output" in data or "outputs" in data:
                        data = await asyncio.to_thread(self._intake.data, data)
                    apply(self.answer, event.kind, data)
                    self.files_changed = self.files_changed or event.kind == "cell_finished"
                    self.happened.set()
        finally:
            self.happened.set()

    @property
    def ended(self) -> bool:
        return self.answer.status != "running"


class Following:
    """Makes watchers."""

    def __init__(self, api: Api, intake: Intake) -> None:
        self._api = api
        self._intake = intake

    async def watch(self, session: str) -> AsyncGenerator[View, None]:
        """Show a session, and follow its turn to the end if one runs.

        Raises:
            ApiError: the conversation cannot be read at all.
        """
        renderer = Renderer(session)
        running, past = await self._past(session)
        shown = renderer.messages(past)
        yield View(shown, running)
        if not running:
            return
        live = _Live(self._api, self._intake, session)
        feeding = asyncio.create_task(live.feed())
        try:
            async for view in _ticks(live, feeding, renderer, past, shown):
                yield view
            await feeding
        except ApiError as error:
            trouble = {"role": "assistant", "content": [snippets.component(snippets.notice(error.detail, "error"))]}
            yield View([*shown, *renderer.answer(live.answer), trouble], running=False, files_changed=True)
            return
        finally:
            feeding.cancel()
        if not live.ended:
            # Nothing ran any more when we asked, or the service came back without the turn: what is stored counts.
            _, past = await self._past(session)
            yield View(renderer.messages(past), running=False, files_changed=True)

    async def _past(self, session: str) -> tuple[bool, list[Message]]:
        stored = await self._api.messages(session)
        taken = await asyncio.to_thread(self._intake.messages, stored)
        return is_running(stored), from_messages(taken)


async def _ticks(
    live: _Live, feeding: asyncio.Task[None], renderer: Renderer, past: list[Message], shown: list[ChatMessage]
) -> AsyncIterator[View]:
    before = sum(count_pictures(message) for message in past if isinstance(message, Answer))
    while not feeding.done():
        try:
            await asyncio.wait_for(live.happened.wait(), HEARTBEAT_S)
        except TimeoutError:
            yield View(None, running=True)
            continue
        live.happened.clear()
        began = time.monotonic()
        files_changed, live.files_changed = live.files_changed, False
        yield View([*shown, *renderer.answer(live.answer, before)], not live.ended, files_changed)
        # Until here Gradio has worked on the view, too. Whatever a cell prints, a watcher takes a fraction of the time.
        await asyncio.sleep(max(TICK_S, 4 * (time.monotonic() - began)))
    yield View([*shown, *renderer.answer(live.answer, before)], running=False, files_changed=True)
