"""Watching a session for as long as a page shows it: its conversation as it is, as it grows, and as others change it.

The run is not here: it is in the orchestrator, and goes on when nobody watches. Between turns a watcher waits for a
nudge (something was done in another page), has the service tell when a turn begins, and asks now and then whether
anything else was done to the session. When the service does not answer, it says so, and goes on asking.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from ui import events
from ui.api_client import Api, ApiError
from ui.api_client import Session as SessionShape
from ui.applying import apply
from ui.conversation import Answer, Message, files_of, from_messages, running_answer
from ui.intake import Intake
from ui.nudges import Nudges
from ui.render import Rendered, Renderer, pictures_of

TICK_S = 0.04
# Between turns: soon after something happened, then less often.
POLLS_S = (2.0, 5.0, 10.0, 20.0)
# A request that waits for a turn, and the pause before the next one where the service does not wait.
BEGINNING_S, PAUSE_S = 50, 2.0
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
# A conversation's end is what one sees: of a long one it is shown first.
SHOWN_FIRST = 12


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows; `messages` is None when it is as it was."""

    messages: list[Rendered] | None
    running: bool = False
    usage: dict[str, Any] | None = None
    read_only: bool = False
    # Changes when files, or the list of sessions, may have.
    pulse: int = 0
    # Why nothing can be said just now.
    offline: str = ""


class _Live:
    """The answer that is being written, fed by a task of its own."""

    def __init__(self, api: Api, intake: Intake, session: str, answer: Answer) -> None:
        self.answer = answer
        self.cells_ended = 0
        self.told = False
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
                    self.cells_ended += event.kind == "cell_finished"
                    self.told = True
                    self.happened.set()
        finally:
            self.happened.set()


class Following:
    """Watches one session for one reader."""

    def __init__(self, api: Api, intake: Intake, nudges: Nudges, session: str, *, fold_code: bool = True) -> None:
        self._api = api
        self._intake = intake
        self._nudges = nudges
        self._session = session
        self._renderer = Renderer(session, fold_code=fold_code)
        self._last = View(None)
        self._seen: object = None

    async def watch(self) -> AsyncGenerator[View, None]:
        """Yield what is to be shown, without end.

        Raises:
            ApiError: the session is not there (any more), or no longer this reader's.
        """
        failures = 0
        with self._nudges.listening(self._session) as nudged:
            while True:
                try:
                    async for view in self._once(nudged):
                        failures = 0
                        self._last = view
                        yield view
                except ApiError as error:
                    if 400 <= error.status < 500 and error.status != 429:
                        raise
                    self._last = replace(self._last, messages=None, offline=error.detail)
                    yield self._last
                    await asyncio.sleep(RETRIES_S[min(failures, len(RETRIES_S) - 1)])
                    failures += 1

    async def _once(self, nudged: asyncio.Event) -> AsyncIterator[View]:
        """Show the session as it is stored, then its turn if one runs, else wait until something happens."""
        # Before anything is read: whatever is done from here on is news.
        nudged.clear()
        about = await self._api.session(self._session)
        self._seen = _used(about)
        past = await self._past()
        base = replace(
            self._last,
            messages=None,
            offline="",
            usage=about.get("usage"),
            read_only=bool(about.get("shared_by")),
            pulse=self._last.pulse + 1,
        )
        answer = running_answer(past)
        if self._last.pulse == 0 and len(past) > SHOWN_FIRST:
            end = await asyncio.to_thread(self._renderer.messages, past[-SHOWN_FIRST:])
            yield replace(base, messages=end, running=answer is not None)
        files = files_of(past)
        if answer is None:
            shown = await asyncio.to_thread(self._renderer.messages, past, files)
            yield replace(base, messages=shown, running=False)
            await self._news(nudged)
            return
        shown = await asyncio.to_thread(self._renderer.messages, past[:-1], files)
        live = _Live(self._api, self._intake, self._session, answer)
        feeding = asyncio.create_task(live.feed())
        try:
            async for view in self._ticks(live, feeding, past, shown, replace(base, running=True)):
                yield view
            await feeding
        finally:
            feeding.cancel()
        if not live.told:
            # It ended between two questions of ours, or the service came back without it.
            await asyncio.sleep(TICK_S * 5)

    async def _ticks(
        self, live: _Live, feeding: asyncio.Task[None], past: list[Message], shown: list[Rendered], base: View
    ) -> AsyncIterator[View]:
        number = len(past) - 1
        before = sum(pictures_of(message) for message in past[:-1] if isinstance(message, Answer))

        def view(usage: dict[str, Any] | None) -> View:
            rendered = self._renderer.answer(live.answer, number, before, files_of(past))
            return replace(base, messages=[*shown, rendered], usage=usage, pulse=base.pulse + live.cells_ended)

        usage, told = base.usage, live.answer.usage
        yield view(usage)
        while not feeding.done():
            await live.happened.wait()
            live.happened.clear()
            if live.answer.status != "running":
                return
            if told is not live.answer.usage:
                # An event tells what one reply used, and the meter shows what the session did.
                told = live.answer.usage
                usage = (await self._api.session(self._session)).get("usage")
            began = time.thread_time()
            now = view(usage)
            took_s = time.thread_time() - began
            yield now
            # Whatever a cell prints, a watcher takes a fraction of the time; what others take is not its fault.
            await asyncio.sleep(max(TICK_S, 3 * took_s))

    async def _news(self, nudged: asyncio.Event) -> None:
        """Wait until something was done to the session."""
        if nudged.is_set():
            return
        waiting = {asyncio.create_task(each) for each in (_set(nudged), self._begun(), self._changed())}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in waiting:
                each.cancel()

    async def _begun(self) -> None:
        while True:
            began = time.monotonic()
            if await self._api.turn_begins(self._session, BEGINNING_S):
                # Its answer is stored before it begins, and it may be over already.
                await asyncio.sleep(TICK_S)
                return
            if time.monotonic() - began < PAUSE_S:
                await asyncio.sleep(PAUSE_S)

    async def _changed(self) -> None:
        for number in range(1_000_000):
            await asyncio.sleep(POLLS_S[min(number, len(POLLS_S) - 1)])
            listed = await self._api.sessions()
            if next((_used(each) for each in listed if each["id"] == self._session), None) != self._seen:
                return

    async def _past(self) -> list[Message]:
        stored = await self._api.messages(self._session)
        return from_messages(await asyncio.to_thread(self._intake.messages, stored))


def _used(about: SessionShape) -> object:
    """Return what changes when a session is used."""
    return about["last_active_at"], about["state"], about["name"]


async def _set(event: asyncio.Event) -> None:
    await event.wait()
