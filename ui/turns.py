"""What can be done in the conversation itself: each act of conversation_acts.js becomes a call of the API."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui import languages, snippets, words
from ui.actions import begin_session, refusal
from ui.api_client import Api, ApiError
from ui.first_use import examples
from ui.logins import Logins
from ui.luggage import free_name
from ui.nudges import Nudges
from ui.page import Page

Changes = dict[Any, Any]


class Turns:
    """The handlers of the conversation, for all browsers that show it."""

    def __init__(self, logins: Logins, page: Page, nudges: Nudges) -> None:
        self._logins = logins
        self._page = page
        self._nudges = nudges

    async def act(
        self,
        session: str,
        model: str | None,
        profile: str | None,
        approval: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> Changes:
        """Do what was asked for; whoever watches the session is told to look again."""
        asked = dict(event._data or {})
        languages.speak(languages.wanted(request.headers))
        api = self._logins.api_for(request.headers)
        changes: Changes = {}
        try:
            if asked.get("act") == "example":
                number = int(asked.get("number", 0))
                session = changes[self._page.session] = await _run_example(api, number, model, profile, approval)
            elif session:
                await _act(api, session, model, asked)
        except ApiError as error:
            return changes | {self._page.notice: refusal(error)}
        self._nudges.nudge(session)
        return changes | {self._page.notice: ""}

    def gone(self, event: gr.EventData, request: gr.Request) -> Changes:
        """Say why a session cannot be shown."""
        languages.speak(languages.wanted(request.headers))
        detail = str((event._data or {}).get("detail") or words.NO_SUCH_SESSION)
        return {self._page.notice: snippets.notice(detail, "error")}


async def _act(api: Api, session: str, model: str | None, asked: dict[str, Any]) -> None:
    identity, text = str(asked.get("id") or ""), str(asked.get("text") or "")
    match asked.get("act"):
        case "edit":
            attachments = [str(each) for each in asked.get("attachments") or []]
            await api.ask(session, text, attachments, model, edits=identity)
        case "run":
            await api.ask(session, f"/run\n{asked.get('code') or ''}", [], None)
        case "run-cell":
            await api.run_cell(session, str(asked.get("cell") or ""))
        case "regenerate":
            other = str(asked.get("model") or "") or model
            await api.regenerate(session, identity, other, resume=bool(asked.get("resume")))
        case "show":
            await api.show_branch(session, identity)
        case "delete":
            await api.delete_turn(session, identity)
        case "decide":
            code = asked.get("code")
            decision = "run" if asked.get("decision") == "run" else "refuse"
            await api.decide(session, str(asked.get("call") or ""), decision, None if code is None else str(code))
        case _:
            return


async def _run_example(api: Api, number: int, model: str | None, profile: str | None, approval: str) -> str:
    """Make a session for an example, put its table in, and ask."""
    found = examples()
    example = found[number % len(found)]
    session = await begin_session(api, example.title, profile, approval)
    name = free_name(example.table.name, ())
    await api.put_file(session, name, example.table)
    await api.ask(session, example.question, [name], model)
    return session
