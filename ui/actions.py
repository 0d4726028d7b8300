"""What the page does: each handler takes what the browser sends, calls the API, and says what is shown next.

A handler returns only the components that change. No error escapes: it becomes a notice above the message box, and
what the user typed stays in the box.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from html import escape
from typing import Any

import gradio as gr

from ui import languages, panels, snippets, words
from ui.api_client import Api, ApiError, Model, Session
from ui.following import Following, Watchers
from ui.intake import Intake
from ui.logins import Logins
from ui.luggage import Carried, Luggage
from ui.page import Page

Changes = dict[Any, Any]

# Below these widths of the window the panels would take the room that the conversation needs.
ONE_SIDE_PX = 900
TWO_SIDES_PX = 1240
MAX_NAME = 60


class Actions:
    """The handlers of one page layout, for all browsers that show it."""

    def __init__(self, logins: Logins, page: Page, intake: Intake) -> None:
        self._logins = logins
        self._page = page
        self._intake = intake
        self._watchers = Watchers()

    async def open_page(self, session: str, width: float | None, request: gr.Request) -> Changes:
        """Fill the page when it is loaded; `session` is the one in its address."""
        page, api = self._page, self._api_for(request)
        changes: Changes = {
            page.sessions_panel: gr.Sidebar(open=(width or 0) >= ONE_SIDE_PX),
            page.files_panel: gr.Sidebar(open=(width or 0) >= TWO_SIDES_PX),
        }
        try:
            changes |= await self._opened(api, session)
        except ApiError as error:
            changes |= await self._nothing_open(api) | self._notice(error.detail)
        try:
            return changes | await self._pickers(api, first_use=not changes[page.session])
        except ApiError as error:
            return changes | self._notice(error.detail)

    async def choose(self, event: gr.EventData, request: gr.Request) -> Changes:
        """Open another session."""
        try:
            return await self._opened(self._api_for(request), _text(event, "id"))
        except ApiError as error:
            return self._notice(error.detail)

    async def new(self, request: gr.Request) -> Changes:
        """Show the first-use page; the session itself is made with its first message or file."""
        self._watchers.leave(_page_of(request))
        return await self._nothing_open(self._api_for(request))

    async def rename(self, session: str, event: gr.EventData, request: gr.Request) -> Changes:
        """Give a session another name."""
        api = self._api_for(request)
        try:
            await api.rename_session(_text(event, "id"), _text(event, "name")[:200])
            return await self._listed(api, session)
        except ApiError as error:
            return self._notice(error.detail)

    async def discard(self, session: str, event: gr.EventData, request: gr.Request) -> Changes:
        """Delete a session and its files."""
        gone, api = _text(event, "id"), self._api_for(request)
        try:
            await api.delete_session(gone)
        except ApiError as error:
            return self._notice(error.detail)
        if gone != session:
            return await self._listed(api, session)
        self._watchers.leave(_page_of(request))
        return await self._nothing_open(api)

    async def send(
        self,
        value: dict[str, Any],
        session: str,
        model: str | None,
        profile: str | None,
        carried: Carried,
        request: gr.Request,
    ) -> Changes:
        """Carry the files over, then start a turn; following it is another event's business."""
        text, files = str(value.get("text") or "").strip(), list(value.get("files") or [])
        if not text and not files:
            return self._unchanged()
        changes: Changes = {}
        api = self._api_for(request)
        luggage = Luggage(api)
        try:
            if not session:
                session = (await api.create_session(_name_for(text, files), profile))["id"]
                changes[self._page.session] = session
            carried = await luggage.carry(session, files, carried)
            names = [carried[(session, path)] for path in files]
            changes[self._page.carried] = carried
            await api.ask(session, text or words.FILES_ONLY, names, model)
        except ApiError as error:
            return changes | self._notice(error.detail)
        luggage.drop(files)
        changes |= {self._page.prompt: {"text": "", "files": []}, self._page.attached: "", self._page.carried: {}}
        return changes | self._notice("") | await self._sides(api, session)

    async def send_example(
        self,
        value: dict[str, Any],
        session: str,
        model: str | None,
        profile: str | None,
        carried: Carried,
        event: gr.SelectData,
        request: gr.Request,
    ) -> Changes:
        """Send an example of the first-use page, with the files that wait in the box; what was typed there stays."""
        chosen = event.value if isinstance(event.value, dict) else {}
        changes = await self.send({**value, "text": chosen.get("text")}, session, model, profile, carried, request)
        if self._page.prompt in changes:
            changes[self._page.prompt] = {"text": value.get("text") or "", "files": []}
        return changes

    async def follow(self, session: str, request: gr.Request) -> AsyncGenerator[Changes, None]:
        """Show the session's conversation, and its turn as it happens.

        Every change is the whole state: a browser that is busy lets all but the last of several changes go. What
        stands at the sides is fetched by `refresh`, which a new `pulse` calls.
        """
        page_of_browser = _page_of(request)
        watcher = self._watchers.enter(page_of_browser)
        state: Changes = {self._page.conversation: [], self._page.stop: gr.Button(visible=False)}
        if not session:
            yield state
            return
        try:
            async with aclosing(Following(self._api_for(request), self._intake).watch(session)) as views:
                async for view in views:
                    if not self._watchers.may_speak(page_of_browser, watcher):
                        # What comes last is sent once more at the end, when the page may show another session.
                        yield self._unchanged()
                        return
                    state[self._page.stop] = gr.Button(visible=view.running)
                    if view.messages is not None:
                        state[self._page.conversation] = view.messages
                    if view.files_changed:
                        state[self._page.pulse] = str(time.monotonic_ns())
                    yield state
        except ApiError as error:
            yield state | self._notice(error.detail) | {self._page.stop: gr.Button(visible=False)}

    async def refresh(self, session: str, request: gr.Request) -> Changes:
        """Show the sides of the page as they are now."""
        return await self._sides(self._api_for(request), session)

    async def stop(self, session: str, request: gr.Request) -> None:
        """Stop the turn that runs; its end comes as an event like any other."""
        try:
            await self._api_for(request).stop(session)
        except ApiError as error:
            # Gradio shows it as HTML.
            gr.Warning(escape(error.detail))

    async def begin(self, profile: str | None, event: gr.EventData, request: gr.Request) -> Changes:
        """Make a session for files that are dropped before there is one; the panel sends them when it is shown."""
        api = self._api_for(request)
        try:
            made = await api.create_session(_name_for("", [_text(event, "name")]), profile)
            return await self._opened(api, made["id"])
        except ApiError as error:
            return self._notice(error.detail)

    def choose_model(self, model: str | None, request: gr.Request) -> Changes:
        """Say what kind of model it is when it is none."""
        languages.speak(languages.wanted(request.headers))
        return {self._page.banner: _banner(model)}

    def leave(self, request: gr.Request) -> None:
        """Stop watching for a page that was closed; the turn goes on."""
        self._watchers.leave(_page_of(request))

    def _api_for(self, request: gr.Request) -> Api:
        """Return the API as whoever this browser is logged in as, whose language is spoken from here on.

        There is no other way to it from here.
        """
        languages.speak(languages.wanted(request.headers))
        return self._logins.api_for(request.headers)

    async def _pickers(self, api: Api, *, first_use: bool) -> Changes:
        models, profiles, me = await api.models(), await api.profiles(), await api.me()
        usable = [model["id"] for model in models if model["available"]]
        chosen = _default_model(models)
        choices = [(words.PROFILE_CHOICE.format(name=each["name"]), each["name"]) for each in profiles]
        profile = next((each["name"] for each in profiles if each["default"]), None)
        return {
            self._page.model: gr.Dropdown(usable, value=chosen, visible=bool(usable)),
            self._page.profile: gr.Dropdown(choices, value=profile, visible=first_use),
            self._page.banner: _banner(chosen),
            self._page.person: panels.person(me),
        }

    async def _opened(self, api: Api, session: str) -> Changes:
        if not session:
            return await self._nothing_open(api)
        await api.session(session)
        return {self._page.session: session} | self._notice("") | await self._sides(api, session)

    async def _nothing_open(self, api: Api) -> Changes:
        page = self._page
        emptied = {page.session: "", page.conversation: [], page.stop: gr.Button(visible=False)}
        return emptied | self._notice("") | await self._sides(api, "")

    async def _sides(self, api: Api, session: str) -> Changes:
        """Everything around the conversation, as it is now."""
        page = self._page
        try:
            listed = await self._listed(api, session)
        except ApiError as error:
            return self._notice(error.detail)
        return listed | {
            page.export: panels.export_link(session),
        }

    async def _listed(self, api: Api, session: str) -> Changes:
        sessions = await api.sessions()
        current = next((each for each in sessions if each["id"] == session), None)
        return {
            self._page.sessions: panels.sessions_list(sessions, session, datetime.now(UTC)),
            self._page.title: _title(current),
            self._page.profile: gr.Dropdown(visible=current is None),
        }

    def _unchanged(self) -> Changes:
        # Gradio takes an empty dict for a value.
        return {self._page.notice: gr.skip()}

    def _notice(self, text: str) -> Changes:
        return {self._page.notice: snippets.notice(text, "error") if text else ""}


def _banner(model: str | None) -> Any:
    return gr.HTML(words.DEMO_BANNER, visible=model == words.DEMO_MODEL)


def _title(session: Session | None) -> str:
    name = session["name"] or words.UNNAMED if session else ""
    profile = f"<small>{escape(session['profile'])}</small>" if session else ""
    return f"<h1>{escape(name or words.TITLE)}</h1>{profile}"


def _default_model(models: list[Model]) -> str | None:
    usable = [model for model in models if model["available"]]
    chosen = next((model for model in usable if model["default"]), usable[0] if usable else None)
    return chosen["id"] if chosen else None


def _name_for(text: str, files: list[str]) -> str:
    line = text.split("\n", 1)[0] or ", ".join(path.rsplit("/", 1)[-1] for path in files)
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1].rsplit(" ", 1)[0] + "…"


def _text(event: gr.EventData, name: str) -> str:
    return str((event._data or {}).get(name) or "")


def _page_of(request: gr.Request) -> str:
    return str(request.session_hash)
