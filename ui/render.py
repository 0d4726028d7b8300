"""The view model as messages of the Chatbot. Pure.

A cell becomes a "thought" (Gradio's word for a foldable card) that holds its code and what it printed, followed by one
message with everything that is to be seen without unfolding: pictures, tables, frames, files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ui import snippets, words
from ui.ansi import printed
from ui.conversation import Answer, Cell, Message, Notice, Part, Question, Rejected, Text
from ui.markdown import fenced, with_file_links, without_html
from ui.shown import Failure, Frame, Picture, Plain, Plot, Printed, Prose, Remark, Shown
from ui.sizes import duration_words

ChatMessage = dict[str, Any]

# More than this slows the browser down; the API keeps more, and the workspace all of it.
MAX_PRINTED = 64 * 1024
MAX_CODE = 64 * 1024
MAX_REASON = 160

_ERROR_NAME = re.compile(r"[A-Za-z_][\w.]{0,79}")


class Renderer:
    """Renders one session's conversation."""

    def __init__(self, session: str) -> None:
        self._session = session

    def messages(self, conversation: Iterable[Message]) -> list[ChatMessage]:
        """Render messages, oldest first."""
        rendered: list[ChatMessage] = []
        pictures = 0
        for message in conversation:
            if isinstance(message, Question):
                rendered += self.question(message)
            else:
                rendered += self.answer(message, pictures)
                pictures += count_pictures(message)
        return rendered

    def question(self, question: Question) -> list[ChatMessage]:
        """Render what the user said, and the files that came with it."""
        contents = [_text(without_html(question.content))] if question.content.strip() else []
        if chips := snippets.chips(({"path": path} for path in question.attachments), self._session):
            contents.append(snippets.component(chips))
        return [_message("user", contents)] if contents else []

    def answer(self, answer: Answer, pictures_before: int = 0) -> list[ChatMessage]:
        """Render an answer, whether it is finished or being written; pictures are numbered through the conversation."""
        rendered: list[ChatMessage] = []
        number = pictures_before
        for part in answer.parts:
            rendered += self._part(part, number)
            number += _pictures_of(part)
        if closing := _closing(answer):
            rendered.append(_message("assistant", [snippets.component(closing)]))
        return rendered

    def _part(self, part: Part, pictures_before: int) -> list[ChatMessage]:
        match part:
            case Text(text):
                said = without_html(with_file_links(text, self._session))
                return [_message("assistant", [_text(said)])] if said.strip() else []
            case Cell():
                return self._cell(part, pictures_before)
            case Rejected(name, reason):
                note = words.REJECTED.format(name=name, reason=reason)
                return [_message("assistant", [snippets.component(snippets.notice(note, "warning"))])]
            case Notice(text):
                return [_message("assistant", [snippets.component(snippets.notice(text, "warning"))])]

    def _cell(self, cell: Cell, pictures_before: int) -> list[ChatMessage]:
        pending = cell.status in {"writing", "running"}
        card = _message("assistant", [_text(_inside(cell))])
        card["metadata"] = {"title": cell_title(cell), "status": "pending" if pending else "done"}
        if reason := _reason(cell):
            card["metadata"]["log"] = reason
        below = _below(cell, pictures_before)
        if chips := snippets.chips(cell.files, self._session):
            below.append(snippets.component(chips))
        return [card, _message("assistant", below)] if below else [card]


def cell_title(cell: Cell) -> str:
    """Return what a cell's card says when it is folded."""
    if cell.status in {"writing", "running"}:
        state = words.WRITING if cell.status == "writing" else words.RUNNING
    elif cell.status == "error":
        failure = _failure(cell)
        name = failure.error if failure and _ERROR_NAME.fullmatch(failure.error) else ""
        state = f"{words.FAILED}: {name}" if name else words.FAILED
    else:
        state = words.CELL_STATUS.get(cell.status, "")
    took = duration_words(cell.duration_s) if cell.duration_s is not None and cell.status == "ok" else ""
    return " · ".join(piece for piece in (words.PYTHON, state, took) if piece)


def clipped(text: str, limit: int) -> str:
    """Return the text's beginning and end when it is longer than the limit; the end matters more."""
    if len(text) <= limit:
        return text
    head, tail = limit // 4, limit - limit // 4
    gap = words.OUTPUT_CUT.format(count=len(text) - head - tail)
    return f"{text[:head].rstrip()}\n\n{gap}\n\n{text[-tail:].lstrip()}"


def count_pictures(answer: Answer) -> int:
    """Count the pictures of an answer, so that the next one's are numbered on."""
    return sum(map(_pictures_of, answer.parts))


def _pictures_of(part: Part) -> int:
    return sum(isinstance(shown, Picture) for shown in part.outputs) if isinstance(part, Cell) else 0


def _inside(cell: Cell) -> str:
    code = cell.code if len(cell.code) <= MAX_CODE else f"{cell.code[:MAX_CODE]}\n{words.CODE_CUT}"
    blocks = [fenced(code.strip("\n"), "python")] if code.strip() else []
    room = MAX_PRINTED
    for text, language in _texts(cell.outputs):
        if room <= 0 or not text.strip():
            continue
        shown = clipped(text, room)
        room -= len(shown)
        blocks.append(fenced(shown, language))
    return "\n\n".join(blocks)


def _texts(outputs: list[Shown]) -> list[tuple[str, str]]:
    """Return the texts of a cell in order; what is printed to stdout and stderr in turn stays one text."""
    texts: list[tuple[str, str]] = []
    raw = ""
    for shown in outputs:
        if isinstance(shown, Printed):
            raw += shown.text
            continue
        texts.append((printed(raw), "text"))
        raw = ""
        if isinstance(shown, Plain):
            texts.append((shown.text, shown.language or "text"))
        elif isinstance(shown, Failure):
            texts.append((shown.traceback, "text"))
    return [*texts, (printed(raw), "text")]


def _below(cell: Cell, pictures_before: int) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    number = pictures_before
    for shown in cell.outputs:
        match shown:
            case Picture(name, size):
                number += 1
                alt = words.PICTURE_ALT.format(number=number)
                contents.append(snippets.component(snippets.picture(name, alt, size)))
            case Frame(name):
                contents.append(snippets.component(snippets.frame(name)))
            case Plot(name, height):
                contents.append(snippets.component(snippets.chart(name, height)))
            case Prose(markdown):
                contents.append(_text(markdown))
            case Remark(text):
                contents.append(snippets.component(snippets.notice(text)))
            case _:
                continue
    notices = [*cell.notices, *([words.CELL_TRUNCATED] if cell.truncated else [])]
    return contents + [snippets.component(snippets.notice(text)) for text in notices]


def _closing(answer: Answer) -> str:
    """Return the last line of an answer: what goes on, or how it ended."""
    match answer.status:
        case "running":
            return _going_on(answer)
        case "stopped":
            return snippets.notice(words.STOPPED)
        case "lost":
            return snippets.notice(words.LOST, "warning")
        case "failed":
            problem = answer.problem or {}
            title, detail = str(problem.get("title") or words.TURN_FAILED), str(problem.get("detail") or "")
            return snippets.notice(words.PROBLEM.format(title=title, detail=detail) if detail else title, "error")
        case _:
            return ""


def _going_on(answer: Answer) -> str:
    if answer.sandbox_starts and answer.queue_place is not None:
        return snippets.activity(words.QUEUED.format(place=answer.queue_place))
    if answer.sandbox_starts:
        return snippets.activity(words.STARTING_SANDBOX)
    last = answer.parts[-1] if answer.parts else None
    shows_itself = isinstance(last, Text) or (isinstance(last, Cell) and last.status in {"writing", "running"})
    return "" if shows_itself else snippets.activity(words.THINKING)


def _failure(cell: Cell) -> Failure | None:
    return next((shown for shown in reversed(cell.outputs) if isinstance(shown, Failure)), None)


def _reason(cell: Cell) -> str:
    """Return what went wrong in a line, so that nobody has to unfold the card for it; Gradio shows it as plain text."""
    failure = _failure(cell) if cell.status == "error" else None
    line = " ".join(printed(failure.message).split()) if failure else ""
    return line if len(line) <= MAX_REASON else f"{line[:MAX_REASON]}…"


def _message(role: str, content: list[dict[str, Any]]) -> ChatMessage:
    return {"role": role, "content": content}


def _text(text: str) -> dict[str, Any]:
    # As a dict: Gradio dedents a plain string as if it were a docstring.
    return {"type": "text", "text": text}
