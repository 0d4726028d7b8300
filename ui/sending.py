"""The door by which a message is sent: its files are carried over, then its turn begins. The page follows it by itself.

Not over Gradio's queue: there a second message was dropped while the first was on its way, and the answer to the first
emptied the box of what was typed meanwhile. What is typed is the browser's own (browser/composer.js); this only says
whether it was taken.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from ui import panel_words, words
from ui.actions import begin_session, name_for, refusal
from ui.api_client import Api, ApiError
from ui.doors import INERT_ANSWER, problem_response
from ui.logins import Logins
from ui.luggage import Luggage
from ui.nudges import Nudges
from ui.relay import read_json


class Letter(BaseModel):
    """What a browser wants to be sent; `files` are Gradio's uploads, `carried` what of them is in the workspace.

    Model, profile and approval are named as the pickers show them: what they show is what is meant, however late Gradio
    tells of a choice.
    """

    session: str = ""
    text: str = ""
    files: list[str] = []
    carried: dict[str, str] = {}
    model: str | None = None
    profile: str | None = None
    approval: str | None = None


class _Told(BaseModel):
    """What became of it; what was carried and the session stay when the message itself was refused."""

    sent: bool = False
    session: str
    carried: dict[str, str]
    notice: str = ""


def sending(logins: Logins, nudges: Nudges, uploads: Path) -> APIRouter:
    """Make the route; `uploads` is where Gradio keeps what was uploaded."""
    router = APIRouter()

    @router.post("/send", response_model=None)
    async def send(request: Request) -> Response:
        try:
            letter = Letter.model_validate(await read_json(request))
        except ApiError as error:
            return problem_response(error, INERT_ANSWER)
        except ValidationError:
            return problem_response(ApiError(panel_words.NO_JSON, "bad_request", HTTPStatus.BAD_REQUEST), INERT_ANSWER)
        # Whatever else is named is no upload: nothing else of this host goes into a workspace.
        letter.files = [path for path in letter.files if is_upload(path, uploads)]
        told = _Told(session=letter.session, carried=letter.carried)
        try:
            await _deliver(logins.api_for(request.headers), letter, told)
        except ApiError as error:
            if error.code == "unauthorized":
                return problem_response(error, INERT_ANSWER)
            told.notice = refusal(error)
        nudges.nudge(told.session)
        return JSONResponse(told.model_dump(), headers=INERT_ANSWER)

    return router


def is_upload(path: str, uploads: Path) -> bool:
    """Tell whether a path leads to something that was uploaded, and nowhere else."""
    try:
        found = Path(path).resolve(strict=True)
    except (OSError, ValueError):
        return False
    return found.is_file() and found.is_relative_to(uploads.resolve())


async def _deliver(api: Api, letter: Letter, told: _Told) -> None:
    """Send a letter; `told` has how far it came. Raises ApiError."""
    text, luggage = letter.text.strip(), Luggage(api)
    if not told.session:
        # A choice that is not known asks rather than runs.
        approval = "auto" if letter.approval in (None, words.APPROVAL_AUTO) else "ask"
        told.session = await begin_session(api, name_for(text, letter.files), await _profile(api, letter), approval)
    told.carried = await luggage.carry(told.session, letter.files, letter.carried)
    names = [told.carried[path] for path in letter.files]
    await api.ask(told.session, text or words.FILES_ONLY, names, letter.model)
    told.sent = True
    luggage.drop(letter.files)


async def _profile(api: Api, letter: Letter) -> str | None:
    """Return the name of the sandbox profile that was picked, if one was."""
    if not letter.profile:
        return None
    names = [each["name"] for each in await api.profiles()]
    return next((name for name in names if words.PROFILE_CHOICE.format(name=name) == letter.profile), None)
