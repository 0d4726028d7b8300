"""A conversation as Markdown that any viewer reads: pictures as data URLs, printed text in fences. No I/O."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.notebook.ansi import plain
from orchestrator.notebook.fences import code_span, contained, fenced, quoted
from orchestrator.notebook.timeline import Code, Entry, Note, NotRun, Question, Text, timeline
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SPACE = re.compile(r"\s+")
_HEADING_MARKS = re.compile(r"([\\`*_\[\]<>#&|~])")
INTERACTIVE = "An interactive chart: the page and the notebook draw it."
SEEN_ELSEWHERE = "An HTML output: the page and the notebook show it."


def markdown(session: SessionRecord, messages: Sequence[MessageRecord], cells: Sequence[CellRecord]) -> bytes:
    """Return the conversation as Markdown."""
    blocks = [f"# {_HEADING_MARKS.sub(_escaped, plain(_SPACE.sub(' ', session.name)))}"]
    for entry in timeline(messages, cells):
        blocks += _blocks(entry)
    return ("\n\n".join(blocks) + "\n").encode("utf-8", "replace")


def _escaped(mark: re.Match[str]) -> str:
    return f"\\{mark[1]}"


def _blocks(entry: Entry) -> Iterator[str]:
    match entry:
        case Question(text, attachments):
            attached = "".join(f"\n- {code_span(name)}" for name in attachments)
            yield "## You"
            yield quoted(plain(text) + (f"\n\nAttached:\n{attached}" if attached else ""))
        case Text(text, reasoning):
            if reasoning:
                yield quoted(f"*Reasoning:*\n\n{plain(reasoning)}")
            if text:
                yield contained(plain(text))
        case Code(cell):
            yield fenced(cell.code, "python")
            for output in cell.outputs:
                yield from _output(output)
            if cell.status not in ("ok", "error"):
                yield quoted(f"This cell: {cell.status.replace('_', ' ')}.")
        case NotRun(code, reason):
            yield fenced(code, "python")
            yield quoted(plain(reason))
        case Note(text):
            yield quoted(plain(text))


def _output(output: dict[str, Any]) -> Iterator[str]:
    match output["output_type"]:
        case "stream":
            yield fenced(plain(output["text"]), "text")
        case "error":
            yield fenced(plain("\n".join(output["traceback"])), "text")
        case _:
            yield _shown(output["data"])


def _shown(data: dict[str, Any]) -> str:
    for mime_type in PICTURES:
        if (content := picture(data.get(mime_type))) is not None:
            return f"![output](data:{mime_type};base64,{content})"
    if is_interactive(data):
        return quoted(INTERACTIVE)
    if "text/markdown" in data:
        return contained(plain(data["text/markdown"]))
    for mime_type, language in (("text/plain", "text"), ("text/latex", "latex"), ("image/svg+xml", "xml")):
        if mime_type in data:
            return fenced(plain(data[mime_type]), language)
    if "application/json" in data:
        return fenced(json.dumps(data["application/json"], indent=1, ensure_ascii=False), "json")
    return quoted(SEEN_ELSEWHERE)


def picture(value: object) -> str | None:
    """Return a picture's base64 as one word, or None where it is none."""
    if not isinstance(value, str):
        return None
    word = _SPACE.sub("", value)
    return word if _BASE64.fullmatch(word) else None


def is_interactive(data: dict[str, Any]) -> bool:
    """Tell whether an output is a chart that a script draws."""
    return any(mime_type.startswith("application/vnd.") for mime_type in data)
