"""A request's messages, read: what the user asks now, of which table, and what the tool said since. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from orchestrator.demo_model.scripts import OWN_FILES

Language = Literal["en", "zh"]

TABLE_KINDS = (".csv", ".tsv", ".xlsx", ".xls", ".parquet", ".json", ".jsonl", ".txt")

_ATTACHED = re.compile(r"\s*\[attached:(.*)\]\s*", re.IGNORECASE)
_WORKSPACE = re.compile(r"\s*\[files in the workspace:(.*)\]\s*", re.IGNORECASE)
# A name may hold commas and brackets; what ends it is a size in brackets before a comma or the end.
_TOLD = re.compile(r"^\[(?:tables|pictures):", re.MULTILINE)  # what else the orchestrator tells of them
_FILE = re.compile(r"(.+?) \(\d[\d.,]* ?[KMGT]?i?B\)(?:, |$)")
_STATUS = re.compile(r"^status: *(\w+)", re.MULTILINE)
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z']*")


@dataclass(frozen=True)
class Result:
    """What one tool call brought."""

    text: str

    @property
    def status(self) -> str:
        """The cell's status; empty when the text tells none (a rejected call)."""
        found = _STATUS.search(self.text)
        return found.group(1) if found else ""

    @property
    def ok(self) -> bool:
        """Whether the cell ran to its end."""
        return self.status == "ok"


@dataclass(frozen=True)
class UserMessage:
    """A user's message, without the lines that the orchestrator put under it."""

    words: str
    attached: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """Everything a scenario decides by."""

    words: str
    table: str | None = None
    attached: bool = False
    results: tuple[Result, ...] = ()
    first: bool = True
    language: Language = "en"
    may_call: bool = True


def read_turn(messages: Sequence[dict[str, Any]], *, may_call: bool = True) -> Turn:
    """Read the turn that a request asks to continue.

    Args:
        messages: the request's messages, oldest first.
        may_call: whether the request allows calls of `run_python`.
    """
    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    now = asked[-1] if asked else len(messages)
    said = [split_message(content_text(messages[index])) for index in asked] or [UserMessage("")]
    return Turn(
        words=said[-1].words,
        table=pick_table(said),
        attached=any(_is_table(name) for name in said[-1].attached),
        results=tuple(Result(content_text(each)) for each in messages[now:] if each.get("role") == "tool"),
        first=not any(message.get("role") == "assistant" for message in messages[:now]),
        language=language_of(_without_names(said[-1])),
        may_call=may_call,
    )


def content_text(message: dict[str, Any]) -> str:
    """Return a message's text, whether it is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    text = content if isinstance(content, str) else ""
    # JSON can hold half a surrogate pair, UTF-8 cannot: what is quoted from here must fit into a response.
    return text.encode("utf-8", "replace").decode("utf-8")


def split_message(text: str) -> UserMessage:
    """Part the user's words from the lines that tell of files; those are looked for at the end only."""
    lines = text.splitlines(keepends=True)
    attached: list[str] = []
    files: list[str] = []
    listed = ""
    while lines:
        if line := _WORKSPACE.fullmatch(lines[-1]):
            files = list(_listed_files(line.group(1).strip()))
        elif line := _ATTACHED.fullmatch(lines[-1]):
            listed = line.group(1).strip()
        elif lines[-1].strip():
            break
        lines.pop()
    attached = list(_attached_files(listed, files))
    words = _TOLD.split("".join(lines), 1)[0]
    return UserMessage(words.strip(), tuple(attached), tuple(files))


def pick_table(said: Sequence[UserMessage]) -> str | None:
    """Choose the table to analyse; the package's docstring tells the order.

    Args:
        said: all the user's messages of the conversation, oldest first.
    """
    now = said[-1]
    earlier = [name for message in reversed(said[:-1]) for name in message.attached]
    candidates = [
        *now.attached,
        *(name for name in now.files if name in now.words),
        *(name for name in earlier if name in now.files or not now.files),
        # A .txt is more often a note than a table, and what the scripts wrote is rarely what is meant.
        *sorted(now.files, key=lambda name: (name in OWN_FILES, name.lower().endswith(".txt"))),
    ]
    return next((name for name in candidates if _is_table(name)), None)


def language_of(words: str) -> Language:
    """Tell a text's language; a Chinese word in an English sentence does not make it Chinese."""
    characters = len(_HAN.findall(words))
    return "zh" if characters and characters >= len(_LATIN_WORD.findall(words)) else "en"


def _is_table(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TABLE_KINDS


def _without_names(message: UserMessage) -> str:
    words = message.words
    for name in {*message.attached, *message.files}:
        words = words.replace(name, " ")
    return words


def _listed_files(listed: str) -> Iterator[str]:
    found = [match.group(1) for match in _FILE.finditer(listed)]
    yield from found or (name.strip() for name in listed.split(", ") if name.strip())


def _attached_files(listed: str, files: Sequence[str]) -> Iterator[str]:
    """Split at commas, but keep a name whole that holds a comma itself and is in the workspace."""
    parts = listed.split(", ") if listed else []
    while parts:
        joins = (", ".join(parts[:count]) for count in range(len(parts), 1, -1))
        name = next((join for join in joins if join in files), parts[0])
        yield name.strip()
        parts = parts[name.count(", ") + 1 :]
