"""A model's streamed reply, put together: chunks become text, tool calls and events. No I/O.

Providers differ: a call's pieces may come by index, by id or all at once; some say `stop` and mean `tool_calls`; some
end without a finish reason. What was said is decided from what came, not from the label. Nobody checked the chunks, so
any field may be missing, or be anything.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jiter

from orchestrator.chat import repair
from orchestrator.chat.fenced import Fences, Piece
from orchestrator.chat.repair import code_of, means_python
from orchestrator.chat.thinking import Thoughts
from orchestrator.events import CodeDelta, Event, ReasoningDelta, TextDelta
from orchestrator.limits import CODE_BYTES, LIVE_CODE_CHARS, MODEL_REPLY_CALLS, MODEL_REPLY_CHARS

TOOL_NAME = repair.TOOL_NAME
_ARGUMENTS_HINT = 'Call run_python with the arguments {"code": "<python>"}.'
_IN_TEXT = re.compile(r"\s*<tool_call>\s*(\{.*?\})\s*</tool_call>\s*", re.DOTALL)


@dataclass(slots=True, eq=False)
class ToolCall:
    """A tool call as it comes in, piece by piece. Two that say the same are still two."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    shown_code: str = ""
    cut: bool = False  # the reply ended at its longest, in the middle of this call

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

    def __init__(self, most_chars: int = MODEL_REPLY_CHARS) -> None:
        self.is_fenced = False  # a block of Python in the text is a call
        self._most_chars = most_chars
        self.restart()

    def restart(self) -> None:
        """Forget what came: the reply is asked for again."""
        self.text = ""
        self.reasoning = ""
        self.calls: list[ToolCall] = []
        self.finish_reason: str | None = None
        self.usage: dict[str, int] | None = None
        self._by_index: dict[int, ToolCall] = {}
        self._half = ""
        self._size = 0
        self._thoughts = Thoughts()
        self._fences = Fences()

    @property
    def too_long(self) -> bool:
        """Whether the reply has grown beyond what anyone would read."""
        return self._size > self._most_chars or len(self.calls) > MODEL_REPLY_CALLS

    @property
    def block_ended(self) -> bool:
        """Whether a model without tools has written its block of code: nothing behind it counts."""
        return self.is_fenced and self._fences.closed

    @property
    def is_empty(self) -> bool:
        """Whether nothing came that anybody saw."""
        return not (self.text or self.reasoning or self.calls)

    def take(self, chunk: Mapping[str, Any]) -> list[Event]:
        """Add a chunk and return the events that it makes."""
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = _usage(usage)
        events: list[Event] = []
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return []
        # A server that does not stream has a `message`, all in one.
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            events += self._take_delta(delta)
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish_reason = reason or self.finish_reason
        return events

    def finish(self) -> list[Event]:
        """Say that no more comes; return the events of what was held back."""
        thought, said = self._thoughts.finish()
        events = self._think(thought) + self._say(said)
        if self.is_fenced:
            events += self._pieces(self._fences.finish())
            for call in self.calls:
                call.arguments = json.dumps({"code": call.shown_code.removesuffix("\n")})
                call.cut = self.finish_reason == "length" and not self._fences.closed
        else:
            for call in self.calls[-1:]:
                call.cut = self.finish_reason == "length" and not call.whole
        if not self.calls:
            self._find_calls_in_text()
        return events

    def _take_delta(self, delta: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        for name in ("reasoning_content", "reasoning"):
            if isinstance(thought := delta.get(name), str):
                events += self._think(thought)
                break  # some send both, and they say the same
        for text in _texts(delta.get("content")):
            thought, said = self._thoughts.take(text)
            events += self._think(thought) + self._say(said)
        if isinstance(refusal := delta.get("refusal"), str):
            events += self._say(refusal)
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                events += self._take_call(piece)
        return events

    def _think(self, text: str) -> list[Event]:
        if not text:
            return []
        text = _whole(text)
        self.reasoning += text
        self._size += len(text)
        return [ReasoningDelta(text)]

    def _say(self, text: str) -> list[Event]:
        """Add text. Providers that count in UTF-16 cut it within a character: a first half waits for the second."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        if not text:
            return []
        text = _whole(text)
        self._size += len(text)
        return self._pieces(self._fences.take(text) if self.is_fenced else [Piece("text", text)])

    def _pieces(self, pieces: list[Piece]) -> list[Event]:
        events: list[Event] = []
        for kind, text in pieces:
            if kind == "text":
                self.text += text
                events.append(TextDelta(text))
                continue
            if not self.calls:
                self.calls.append(ToolCall(name=TOOL_NAME))
            self.calls[0].shown_code += text
            events.append(CodeDelta(0, text))
        return events

    def _take_call(self, piece: Mapping[str, Any]) -> list[Event]:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._call_of(piece, function)
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str):
            call.name = call.name or _whole(name)
        if isinstance(arguments, dict):  # some send what is to be JSON text as JSON
            arguments = json.dumps(arguments)
        if isinstance(arguments, str):
            call.arguments += arguments
            self._size += len(arguments)
        if not means_python(call.name) or not call.name or len(call.arguments) > LIVE_CODE_CHARS:
            return []
        code = call.code_so_far()
        if len(code) <= len(call.shown_code):
            return []
        new, call.shown_code = code[len(call.shown_code) :], code
        return [CodeDelta(self.calls.index(call), new)]

    def _call_of(self, piece: Mapping[str, Any], function: Mapping[str, Any]) -> ToolCall:
        """Return the call that a piece belongs to: by index, else by id, else the last one."""
        call: ToolCall | None = None
        index, told_id = piece.get("index"), piece.get("id")
        call_id = told_id if isinstance(told_id, str) else ""
        if isinstance(index, int):
            call = self._by_index.get(index)
            if call is not None and call_id and call.id and call_id != call.id:
                call = None  # several calls under one index: each with an id of its own
        elif call_id:
            call = next((known for known in self.calls if known.id == call_id), None)
        elif self.calls and not (function.get("name") and self.calls[-1].whole):
            call = self.calls[-1]
        if call is None:
            call = ToolCall()
            self.calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        call.id = call.id or call_id
        return call

    def _find_calls_in_text(self) -> None:
        """Take calls that a server left in the text, as the model's own template writes them, out of it."""
        for found in _IN_TEXT.finditer(self.text):
            try:
                told = json.loads(found.group(1))
            except (ValueError, RecursionError):
                continue
            if isinstance(told, dict) and isinstance(told.get("name"), str):
                self.calls.append(ToolCall(name=told["name"], arguments=json.dumps(told.get("arguments"))))
        if self.calls:
            self.text = _IN_TEXT.sub("", self.text)


def read_call(call: ToolCall) -> str | Rejected:
    """Return the code of a call, or why it makes no sense. What is plainly meant is taken for what it means."""
    if not means_python(call.name):
        return Rejected(f"There is no tool {call.name[:64]!r}; the only tool is {TOOL_NAME}. {_ARGUMENTS_HINT}")
    if not call.arguments.strip():
        return Rejected(f"The call has no arguments. {_ARGUMENTS_HINT}")
    if call.cut:
        return Rejected(
            "The reply ended at its longest before the call was whole, and nothing was run. Call again with less code: "
            "divide it into several cells."
        )
    code = code_of(call.arguments)
    if code is None and not _is_object(call.arguments):
        return Rejected(f"The arguments are not valid JSON. {_ARGUMENTS_HINT}")
    if code is None or not code.strip():
        return Rejected(f"The arguments have no code. {_ARGUMENTS_HINT}")
    code = _whole(code)
    if len(code.encode()) > CODE_BYTES:
        return Rejected(f"The code is longer than {CODE_BYTES:,} bytes.")
    return code


def _is_object(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


def _texts(content: Any) -> list[str]:
    """Return the text of a delta; some send a list of parts, of which those that are text count."""
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _usage(told: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of tokens; nobody checked what the provider sent."""
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    numbers = {name: told.get(name) for name in ("prompt_tokens", "completion_tokens")} | {"cached_tokens": cached}
    return {name: max(0, n) if isinstance(n, int) else 0 for name, n in numbers.items()}


def _whole(text: str) -> str:
    """Return text with the halves of UTF-16 joined; one that stands alone, which no UTF-8 can hold, is replaced."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
