"""The view model as blocks of HTML, each with a key by which conversation.js finds it again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from ui import snippets, words
from ui.cards import GOING_ON, below, card, count_pictures
from ui.conversation import Answer, Cell, Message, Notice, Part, Question, Rejected, Text
from ui.details import in_words
from ui.markdown import code_block, markdown_html

_OWN_CODE = ("!", "/run ", "/run\n")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message: who says it, and its blocks by their keys."""

    id: str
    role: str
    blocks: dict[str, str]


class Renderer:
    """Renders one session's conversation, for a reader who prefers code folded or not."""

    def __init__(self, session: str, *, fold_code: bool = True) -> None:
        self._session = session
        self._folded = fold_code
        # Of each block the part that it was made from: most of a conversation is as it was a moment ago.
        self._made: dict[str, tuple[object, str]] = {}

    def messages(self, conversation: Iterable[Message], files: AbstractSet[str] = frozenset()) -> list[Rendered]:
        """Render messages, oldest first; `files` are the names that become links."""
        rendered: list[Rendered] = []
        pictures = 0
        conversation = list(conversation)
        for number, message in enumerate(conversation):
            if isinstance(message, Question):
                rendered.append(self.question(message, number))
            else:
                rendered.append(self.answer(message, number, pictures, files))
                pictures += pictures_of(message)
        if cells := notebook_cells(conversation):
            first = rendered[1]
            rendered[1] = Rendered(first.id, first.role, {f"{first.id}:all": _run_all(cells), **first.blocks})
        return rendered

    def question(self, question: Question, number: int = 0) -> Rendered:
        """Render what the user said, and the files that came with it."""
        name = question.id or f"n{number}"
        chips = snippets.chips(({"path": path} for path in question.attachments), self._session)
        raw = f'data-raw="{escape(question.content)}" data-attachments="{escape(json.dumps(question.attachments))}"'
        bubble = f'<div class="gb-bubble" {raw}>{_asked(question.content)}</div>'
        tools = (
            _branches(question.id, question.siblings)
            + snippets.button("copy", words.COPY, "copy")
            + snippets.button("edit-question", words.EDIT_QUESTION, "edit")
            + snippets.button("ask-delete", words.DELETE_TURN, "delete")
        )
        return Rendered(name, "user", {f"{name}:q": f'{bubble}{chips}<div class="gb-tools">{tools}</div>'})

    def answer(
        self, answer: Answer, number: int = 0, pictures_before: int = 0, files: AbstractSet[str] = frozenset()
    ) -> Rendered:
        """Render an answer, whether it is finished or being written; pictures are numbered through the conversation."""
        name = answer.id or f"n{number}"
        blocks: dict[str, str] = {}
        pictures = pictures_before
        for at, part in enumerate(answer.parts):
            thinking = answer.status == "running" and at == len(answer.parts) - 1
            if html := self._remembered(f"{name}:{at}", part, pictures, files, thinking=thinking):
                blocks[f"{name}:{at}"] = html
            pictures += count_pictures(part) if isinstance(part, Cell) else 0
        if closing := _closing(answer):
            blocks[f"{name}:end"] = closing
        return Rendered(name, "assistant", blocks)

    def _remembered(self, key: str, part: Part, pictures: int, files: AbstractSet[str], *, thinking: bool) -> str:
        of: object = part
        if isinstance(part, Text):
            of = (part.text, part.reasoning, files, thinking)
        elif isinstance(part, Cell):
            of = None if part.status in GOING_ON else (part, pictures)
        known = self._made.get(key)
        if known is not None and of is not None and known[0] == of:
            return known[1]
        html = self._part(part, pictures, files, thinking=thinking)
        self._made[key] = (of, html)
        return html

    def _part(self, part: Part, pictures: int, files: AbstractSet[str], *, thinking: bool) -> str:
        match part:
            case Text(text, reasoning):
                thought = _reasoning(reasoning, self._session, going_on=thinking and not text) if reasoning else ""
                said = f'<div class="gb-said">{markdown_html(text, self._session, files)}</div>' if text.strip() else ""
                return thought + said
            case Cell():
                return card(part, self._session, folded=self._folded) + below(part, self._session, pictures)
            case Rejected(name, reason):
                return snippets.notice(words.REJECTED.format(name=name, reason=reason), "warning")
            case Notice(text, tone):
                return snippets.notice(in_words(text), tone)


def notebook_cells(conversation: Sequence[Message]) -> list[str]:
    """Return the cells of the notebook that a conversation was made of; none where it began with a question."""
    came = [
        answer
        for question, answer in pairwise(conversation)
        if isinstance(question, Question) and isinstance(answer, Answer) and _came_along(question, answer)
    ]
    if not came or came[0] is not conversation[1]:
        return []
    return [part.cell_id for answer in came for part in answer.parts if isinstance(part, Cell) and part.cell_id]


def _came_along(question: Question, answer: Answer) -> bool:
    """Tell whether no model, and no code of one's own, made an answer: it came with a notebook."""
    return answer.status == "done" and not answer.model and not question.content.startswith(_OWN_CODE)


def _run_all(cells: list[str]) -> str:
    button = snippets.button("run-all", words.RUN_ALL, cells=" ".join(cells))
    return f'<div class="gb-run-all">{button}<small>{escape(words.RUN_ALL_HINT)}</small></div>'


def pictures_of(answer: Answer) -> int:
    """Count the pictures of an answer, so that the next one's are numbered on."""
    return sum(count_pictures(part) for part in answer.parts if isinstance(part, Cell))


def _asked(content: str) -> str:
    for sign in _OWN_CODE:
        if content.startswith(sign) and (code := content[len(sign) :].strip()):
            return code_block(code, "python")
    return f'<p class="gb-plain">{escape(content, quote=False)}</p>'


def _reasoning(reasoning: str, session: str, *, going_on: bool) -> str:
    title = words.REASONING_NOW if going_on else words.REASONING
    pulse = '<span class="gb-pulse" aria-hidden="true"></span>' if going_on else ""
    thought = markdown_html(reasoning, session)
    return f'<details class="gb-reasoning"><summary>{pulse}{escape(title)}</summary><div>{thought}</div></details>'


def _branches(identity: str, siblings: list[str]) -> str:
    """Return ‹ 1/2 › where there are several; nothing where there are not."""
    if len(siblings) < 2 or identity not in siblings:
        return ""
    at = siblings.index(identity)
    pieces: list[str] = []
    for label, icon, to in ((words.EARLIER_BRANCH, "left", at - 1), (words.LATER_BRANCH, "right", at + 1)):
        if 0 <= to < len(siblings):
            pieces.append(snippets.button("show", label, icon, to=siblings[to]))
        else:
            named = f'data-icon="{icon}" aria-label="{escape(label)}"'
            pieces.append(f'<button type="button" class="gb-tool" disabled {named}></button>')
    return f'<span class="gb-branches">{pieces[0]}{at + 1}/{len(siblings)}{pieces[1]}</span>'


def _closing(answer: Answer) -> str:
    """Return the last line of an answer: what goes on, or how it ended and what can be done with it."""
    if answer.status == "running":
        return _going_on(answer)
    ended = ""
    again = snippets.button("regenerate", words.TRY_AGAIN, resume="1") if answer.id else ""
    match answer.status:
        case "stopped":
            ended = snippets.notice(words.STOPPED)
        case "lost":
            ended = snippets.notice(words.LOST, "warning", again)
        case "failed":
            problem = answer.problem or {}
            title, detail = in_words(str(problem.get("title") or words.TURN_FAILED)), str(problem.get("detail") or "")
            text = words.PROBLEM.format(title=title, detail=in_words(detail)) if detail else title
            ended = snippets.notice(text, "error", again)
        case _:
            pass
    model = f'<small class="gb-model">{escape(answer.model)}</small>' if answer.model else ""
    tools = _branches(answer.id, answer.siblings) + snippets.button("copy-answer", words.COPY_ANSWER, "copy")
    if answer.model:
        tools += snippets.button("regenerate", words.REGENERATE, "again")
        tools += snippets.button("regenerate-with", words.REGENERATE_WITH, "choose", model=answer.model)
    return f'{ended}<div class="gb-tools">{tools}{model}</div>'


def _going_on(answer: Answer) -> str:
    if answer.sandbox_starts and answer.queue_place is not None:
        return snippets.activity(words.QUEUED.format(place=answer.queue_place))
    if answer.sandbox_starts:
        return snippets.activity(words.STARTING_SANDBOX)
    last = answer.parts[-1] if answer.parts else None
    shows_itself = isinstance(last, Text) or (isinstance(last, Cell) and last.status in GOING_ON)
    return "" if shows_itself else snippets.activity(words.THINKING)
