"""Tools for models that have none: a fenced block of Python in a reply is a call of the tool. Pure.

A reply ends with its first block: what a model writes behind it, it writes without having seen the result.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from openai.types.chat import ChatCompletionMessageParam

PROTOCOL = """\
# How to run Python here
There is no tool to call. In place of run_python, write the code in your reply, in a block like this one:
```python
print(1 + 1)
```
The block begins with a line ```python, ends with a line ```, and then your reply is over: stop there, for what you \
write behind it is thrown away. The code is run at once, and the next message, which begins with [result of the code], \
has what it printed and showed. Write one block in a reply, and no result of your own. Code that is only to be read \
and not to be run goes into a block that begins with ```text. If the code itself has a line of three backticks, begin \
and end the block with four. When you know the answer, write it without such a block."""
RESULT = "[result of the code]"
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_RUNS = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<about>[^`\n]*)\n?")
_PYTHON = re.compile(r"\{?\.?(?:i?python3?|py|run_python)(?![\w.+-])", re.IGNORECASE)
_MAY_BE_FENCE = re.compile(r"[ \t]*(?:`{0,2}|~{0,2}|(?:`{3,}|~{3,})[^`\n]{0,80})")
_RUN = re.compile(r"^[ \t]*(`+|~+)", re.MULTILINE)


class Piece(NamedTuple):
    """A piece of a reply: text, or code of its block."""

    kind: Literal["text", "code"]
    text: str


class Fences:
    """Tells text and code of a reply apart while it streams in."""

    def __init__(self) -> None:
        self.closed = False  # the block has ended, and the reply with it
        self.opened = False
        self._line = ""  # held back while it may become a fence
        self._is_going = False  # a part of this line is told already
        self._fence = ""
        self._indent = ""
        self._is_python = False

    def take(self, text: str) -> list[Piece]:
        """Add text and return what it makes."""
        found: list[Piece] = []
        for part in _LINES.findall(text):
            if self.closed:
                break
            self._line += part
            ended = self._line.endswith("\n")
            if self._is_going or (not ended and not self._may_be_fence()) or (ended and not self._turns()):
                found += self._tell()
                self._is_going = not ended
        return found

    def finish(self) -> list[Piece]:
        """Say that no more comes, and return what was held back."""
        if self.closed or not self._line:
            return []
        if not self._is_going and self._is_python and self._closes():
            self._turns()
            return []
        return self._tell()

    def _tell(self) -> list[Piece]:
        line, self._line = self._line, ""
        if not self._is_python:
            return [Piece("text", line)]
        return [Piece("code", line if self._is_going else line.removeprefix(self._indent))]

    def _may_be_fence(self) -> bool:
        return _MAY_BE_FENCE.fullmatch(self._line) is not None

    def _closes(self) -> bool:
        line = self._line.strip()
        return len(line) >= len(self._fence) and not line.strip(self._fence[0])

    def _turns(self) -> bool:
        """Heed a whole line that is a fence; tell whether it is one whose line is no text and no code."""
        if self._fence:
            if not self._closes():
                return False
            was_python, self._fence, self._is_python = self._is_python, "", False
            self.closed = was_python
            if was_python:
                self._line = ""
            return was_python
        begun = _RUNS.fullmatch(self._line)
        if begun is None:
            return False
        self._fence, self._indent = begun["fence"], begun["indent"]
        self._is_python = self.opened = _PYTHON.match(begun["about"].strip()) is not None
        if self._is_python:
            self._line = ""
        return self._is_python


def as_told(messages: Sequence[ChatCompletionMessageParam]) -> list[ChatCompletionMessageParam]:
    """Return a conversation as a model without tools has it: its calls are blocks, and results are said to it.

    Those who speak in a row are joined: the templates of many such models insist that two take turns.
    """
    told: list[dict[str, Any]] = []
    if not any(message["role"] in ("system", "developer") for message in messages):
        told.append({"role": "system", "content": PROTOCOL})
    for message in messages:
        plain = _plain(message, is_first=not told)
        if told and told[-1]["role"] == plain["role"]:
            told[-1] = {"role": plain["role"], "content": _joined(told[-1]["content"], plain["content"])}
        else:
            told.append(plain)
    return told  # type: ignore[return-value]


def _plain(message: Mapping[str, Any], *, is_first: bool) -> dict[str, Any]:
    match message["role"]:
        case "system" | "developer":
            content = _joined(message["content"], PROTOCOL) if is_first else message["content"]
            return {"role": "system", "content": content}
        case "tool":
            return {"role": "user", "content": _joined(RESULT, message["content"], "\n")}
        case "assistant":
            parts = [message.get("content") or "", *(_block(call) for call in message.get("tool_calls") or ())]
            return {"role": "assistant", "content": "\n\n".join(part for part in parts if part)}
    return {"role": message["role"], "content": message["content"]}


def _block(call: Mapping[str, Any]) -> str:
    """Return a past call as the block that it would have been."""
    try:
        code = json.loads(call["function"]["arguments"]).get("code")
    except (ValueError, AttributeError, RecursionError):
        code = None
    if not isinstance(code, str):
        return "[a call that made no sense]"
    fence = "`" * max(3, *(len(run) + 1 for run in _RUN.findall(code)), 3)
    return f"{fence}python\n{code}\n{fence}"


def _joined(first: Any, second: Any, between: str = "\n\n") -> Any:
    """Return two messages' content as one; with a picture in it, it is a list of parts."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}{between}{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
