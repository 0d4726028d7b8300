"""What the page does: each handler takes what the browser sends, calls the API, and says what is shown next.

A handler returns only the components that change. No error escapes: it becomes a notice above the message box. Messages
are sent by a door of their own (sending.py), and the lists at the sides come by another (sides.py).
"""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from ui import languages, panels, snippets, words
from ui.api_client import Api, ApiError, Model
from ui.logins import Logins
from ui.page import Page

Changes = dict[Any, Any]

# Below these widths of the window the panels would take the room that the conversation needs.
ONE_SIDE_PX = 900
TWO_SIDES_PX = 1240
MAX_NAME = 60


class Actions:
    """The handlers of one page layout, for all browsers that show it."""

    def __init__(self, logins: Logins, page: Page) -> None:
        self._logins = logins
        self._page = page

    async def open_page(self, session: str, width: float | None, request: gr.Request) -> Changes:
        """Fill the page when it is loaded; `session` is the one in its address."""
        page, api = self._page, self._api_for(request)
        # Where there is no room they stay as they are: somebody may have opened one by now.
        sides = {page.sessions_panel: ONE_SIDE_PX, page.files_panel: TWO_SIDES_PX}
        changes: Changes = {side: gr.Sidebar(open=True) for side, needs in sides.items() if (width or 0) >= needs}
        try:
            changes |= await self._opened(api, session)
        except ApiError as error:
            changes |= self._nothing_open() | self._notice(error.detail)
        try:
            return changes | await self._pickers(api, changes.get(page.model))
        except ApiError as error:
            return changes | self._notice(error.detail)

    async def choose(self, event: gr.EventData, request: gr.Request) -> Changes:
        """Open another session."""
        try:
            return await self._opened(self._api_for(request), _text(event, "id"))
        except ApiError as error:
            return self._notice(error.detail)

    async def new(self) -> Changes:
        """Show the first-use page; the session itself is made with its first message or file."""
        return self._nothing_open()

    async def rename(self, event: gr.EventData, request: gr.Request) -> Changes:
        """Give a session another name."""
        try:
            await self._api_for(request).rename_session(_text(event, "id"), _text(event, "name")[:200])
        except ApiError as error:
            return self._notice(error.detail)
        return self._notice("")

    async def discard(self, session: str, event: gr.EventData, request: gr.Request) -> Changes:
        """Delete a session and its files."""
        gone = _text(event, "id")
        try:
            await self._api_for(request).delete_session(gone)
        except ApiError as error:
            return self._notice(error.detail)
        return self._nothing_open() if gone == session else self._notice("")

    async def stop(self, session: str, request: gr.Request) -> None:
        """Stop the turn that runs; its end comes as an event like any other."""
        try:
            await self._api_for(request).stop(session)
        except ApiError as error:
            # Gradio shows it as HTML.
            gr.Warning(escape(error.detail))

    async def begin(self, profile: str | None, approval: str, event: gr.EventData, request: gr.Request) -> Changes:
        """Make a session for files that are dropped before there is one; the panel sends them when it is shown."""
        api = self._api_for(request)
        try:
            session = await begin_session(api, name_for("", [_text(event, "name")]), profile, approval)
            return await self._opened(api, session)
        except ApiError as error:
            return self._notice(error.detail)

    async def choose_model(self, model: str | None, session: str, request: gr.Request) -> Changes:
        """Let the session be answered by another model, and say so when it is none."""
        return {self._page.banner: _banner(model)} | await self._changed(session, request, model=model)

    async def choose_approval(self, approval: str, session: str, request: gr.Request) -> Changes:
        """Let code run by itself, or only when it is approved."""
        return await self._changed(session, request, approval=approval)

    async def _changed(self, session: str, request: gr.Request, **changes: Any) -> Changes:
        if not session:
            return self._unchanged()  # the session is made with its first message
        try:
            await self._api_for(request).change_session(session, **changes)
        except ApiError as error:
            return self._notice(error.detail)
        return self._notice("")

    def _api_for(self, request: gr.Request) -> Api:
        """Return the API as whoever this browser is logged in as, whose language is spoken from here on.

        There is no other way to it from here.
        """
        languages.speak(languages.wanted(request.headers))
        return self._logins.api_for(request.headers)

    async def _pickers(self, api: Api, model: str | None) -> Changes:
        models, profiles, me = await api.models(), await api.profiles(), await api.me()
        usable = [model["id"] for model in models if model["available"]]
        mine = await _own_settings(api)
        wanted = model or mine.get("default_model")
        chosen = wanted if wanted in usable else _default_model(models)
        choices = [(words.PROFILE_CHOICE.format(name=each["name"]), each["name"]) for each in profiles]
        standard = next((each["name"] for each in profiles if each["default"]), None)
        theirs = mine.get("default_profile")
        profile = theirs if any(each["name"] == theirs for each in profiles) else standard
        return {
            self._page.model: gr.Dropdown(usable, value=chosen, visible=bool(usable)),
            self._page.profile: gr.Dropdown(choices, value=profile, visible=True),
            self._page.banner: _banner(chosen),
            self._page.person: panels.person(me),
        }

    async def _opened(self, api: Api, session: str) -> Changes:
        if not session:
            return self._nothing_open()
        opened = await api.session(session)
        chosen: Changes = {self._page.session: session, self._page.approval: opened.get("approval") or "auto"}
        if opened.get("model"):
            chosen |= {self._page.model: opened["model"], self._page.banner: _banner(opened["model"])}
        return chosen | self._notice("")

    def _nothing_open(self) -> Changes:
        return {self._page.session: "", self._page.approval: "auto"} | self._notice("")

    def _unchanged(self) -> Changes:
        # Gradio takes an empty dict for a value.
        return {self._page.notice: gr.skip()}

    def _notice(self, text: str) -> Changes:
        return {self._page.notice: snippets.notice(text, "error") if text else ""}


def refusal(error: ApiError) -> str:
    """Return what is said of a call that failed; what only has to wait is said until the turn is over."""
    if error.code == "turn_running":
        return snippets.notice(words.STILL_ANSWERING, "busy")
    return snippets.notice(error.detail, "error")


async def begin_session(api: Api, name: str, profile: str | None, approval: str) -> str:
    """Make a session and return its id."""
    session = (await api.create_session(name, profile))["id"]
    if approval != "auto":
        await api.change_session(session, approval=approval)
    return session


def _banner(model: str | None) -> Any:
    return gr.HTML(words.DEMO_BANNER, visible=model == words.DEMO_MODEL)


async def _own_settings(api: Api) -> dict[str, Any]:
    """Return what this reader set for new sessions, if anything."""
    try:
        return await api.my_settings()
    except ApiError:
        return {}


def _default_model(models: list[Model]) -> str | None:
    usable = [model for model in models if model["available"]]
    chosen = next((model for model in usable if model["default"]), usable[0] if usable else None)
    return chosen["id"] if chosen else None


def name_for(text: str, files: list[str]) -> str:
    """Name a session after its first question, or after its files."""
    line = text.split("\n", 1)[0] or ", ".join(path.rsplit("/", 1)[-1] for path in files)
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1].rsplit(" ", 1)[0] + "…"


def _text(event: gr.EventData, name: str) -> str:
    return str((event._data or {}).get(name) or "")
