"""A model's streamed reply, put together: deltas become text, tool calls and events. No I/O.

Providers differ: a call's pieces may come by index, by id or all at once; some say `stop` and mean `tool_calls`; some
end without a finish reason. What was said is decided from what came, not from the label.
"""

import json
from dataclasses import dataclass
from typing import Any

import jiter
from openai.types.chat import ChatCompletionChunk

from orchestrator.events import CodeDelta, Event, TextDelta
from orchestrator.limits import CODE_BYTES, LIVE_CODE_CHARS, MODEL_REPLY_CHARS

TOOL_NAME = "run_python"
_ARGUMENTS_HINT = 'Call run_python with the arguments {"code": "<python>"}.'


@dataclass(slots=True, eq=False)
class ToolCall:
    """A tool call as it comes in, piece by piece. Two that say the same are still two."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    shown_code: str = ""

    def code_so_far(self) -> str:
        """Return the code that the half-written arguments hold already."""
        try:
            parsed = jiter.from_json(self.arguments.encode(), partial_mode="trailing-strings")
        except ValueError:
            return ""
        code = parsed.get("code") if isinstance(parsed, dict) else None
        return code if isinstance(code, str) else ""

    @property
    def whole(self) -> bool:
        """Whether the arguments have come to their end."""
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A call that makes no sense, with what the model is told about it."""

    reason: str


class ModelReply:
    """One reply of the model, growing with each chunk."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[ToolCall] = []
        self.finish_reason: str | None = None
        self.usage: dict[str, int] | None = None
        self._by_index: dict[int, ToolCall] = {}
        self._half = ""
        self._size = 0

    @property
    def too_long(self) -> bool:
        """Whether the reply has grown beyond what anyone would read."""
        return self._size > MODEL_REPLY_CHARS

    def take(self, chunk: ChatCompletionChunk) -> list[Event]:
        """Add a chunk and return the events that it makes. The SDK does not check it, so any field may be missing."""
        if chunk.usage is not None:
            counted = ("prompt_tokens", "completion_tokens")
            self.usage = {name: getattr(chunk.usage, name, None) or 0 for name in counted}
        events: list[Event] = []
        for choice in (getattr(chunk, "choices", None) or [])[:1]:
            self.finish_reason = choice.finish_reason or self.finish_reason
            delta: Any = getattr(choice, "delta", None)
            if delta is None:
                continue
            if isinstance(delta.content, str):
                events += self._take_text(delta.content)
            for piece in delta.tool_calls or []:
                events += self._take_call(piece)
        return events

    def _take_text(self, text: str) -> list[Event]:
        """Add text. Providers that count in UTF-16 cut it within a character: a first half waits for the second."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        if not text:
            return []
        text = _whole(text)
        self.text += text
        self._size += len(text)
        return [TextDelta(text)]

    def _take_call(self, piece: Any) -> list[Event]:
        call = self._call_of(piece)
        name, arguments = getattr(piece.function, "name", None), getattr(piece.function, "arguments", None)
        if isinstance(name, str):
            call.name = call.name or _whole(name)
        if isinstance(arguments, str):
            call.arguments += arguments
            self._size += len(arguments)
        if call.name != TOOL_NAME or len(call.arguments) > LIVE_CODE_CHARS:
            return []
        code = call.code_so_far()
        if len(code) <= len(call.shown_code):
            return []
        new, call.shown_code = code[len(call.shown_code) :], code
        return [CodeDelta(self.calls.index(call), new)]

    def _call_of(self, piece: Any) -> ToolCall:
        """Return the call that a piece belongs to: by index, else by id, else the last one."""
        call: ToolCall | None = None
        index = getattr(piece, "index", None)
        if isinstance(index, int):
            call = self._by_index.get(index)
            if call is not None and piece.id and call.id and piece.id != call.id:
                call = None  # several calls under one index: each with an id of its own
        elif piece.id:
            call = next((known for known in self.calls if known.id == piece.id), None)
        elif self.calls and not (getattr(piece.function, "name", None) and self.calls[-1].whole):
            call = self.calls[-1]
        if call is None:
            call = ToolCall()
            self.calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        call.id = call.id or (piece.id or "")
        return call


def read_call(call: ToolCall) -> str | Rejected:
    """Return the code of a call, or why it makes no sense."""
    if call.name != TOOL_NAME:
        return Rejected(f"There is no tool {call.name[:64]!r}; the only tool is {TOOL_NAME}. {_ARGUMENTS_HINT}")
    if not call.arguments.strip():
        return Rejected(f"The call has no arguments. {_ARGUMENTS_HINT}")
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return Rejected(f"The arguments are not valid JSON ({error}). {_ARGUMENTS_HINT}")
    code = arguments.get("code") if isinstance(arguments, dict) else None
    if not isinstance(code, str) or not code.strip():
        return Rejected(f"The arguments have no code. {_ARGUMENTS_HINT}")
    code = _whole(code)
    if len(code.encode()) > CODE_BYTES:
        return Rejected(f"The code is longer than {CODE_BYTES:,} bytes.")
    return code


def _whole(text: str) -> str:
    """Return text with the halves of UTF-16 joined; one that stands alone, which no UTF-8 can hold, is replaced."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
