"""A model's window: how much may be told, and how what is too much is made shorter, old outputs first. Pure; blocks.

Nothing is left out without a word: what was shortened says so, and where the whole of it is. Messages are never changed
in place.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.tokens import count_message, count_messages, count_text, cut_middle

Message = dict[str, Any]

_REPLY_SHARE = 4  # of the window is kept for the reply, at most
_REPLY_TOKENS = 8_000
_MARGIN_SHARE = 0.03  # other tokenizers than ours count more
_ESTIMATE_SHARE = 0.15
_MARGIN_TOKENS = 100
SHORTER = (1000, 300, 80)  # tokens of an old output, shortened more and more
_LEAST_CODE_TOKENS = 200
_NOTE_TOKENS = 40  # of what says that something was shortened
_SPILLED = re.compile(r"outputs/cell-[0-9a-f]{8}-[0-9A-Za-z.]{1,40}")
_WHOLE_KEPT = "[shortened, since it is long ago; the whole of what was printed is in {}]"
_NOT_KEPT = "[shortened, since it is long ago; run the code again where the whole is needed]"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is told: the turns before, and the turn that runs."""

    before: list[Message]
    now: list[Message]
    tokens: int

    @property
    def messages(self) -> list[Message]:
        """All of it, in order."""
        return [*self.before, *self.now]


def room(about: Capabilities, *, exact: bool, share: float = 1.0) -> int:
    """Return how many tokens a request may have, its tools and system prompt included.

    Args:
        about: what the model can do.
        exact: whether tokens are counted, and not estimated.
        share: what is left of it by a provider that finds less too long already.

    """
    reply = min(about.max_output or _REPLY_TOKENS, _REPLY_TOKENS, about.window // _REPLY_SHARE)
    margin = _MARGIN_TOKENS + int(about.window * (_MARGIN_SHARE if exact else _ESTIMATE_SHARE))
    return int((about.window - reply - margin) * share)


class _Shortening:
    """Messages on their way to fewer tokens."""

    def __init__(self, told: Sequence[Message], most: int) -> None:
        self.told = list(told)
        self.costs = [count_message(message) for message in told]
        self.total = sum(self.costs)
        self._most = most

    @property
    def fits(self) -> bool:
        return self.total <= self._most

    def shorten(self, indexes: range, how: Callable[[Message, int], Message], tokens: int) -> None:
        """Make messages shorter, one after the other, until all fit."""
        for index in indexes:
            if self.fits:
                return
            shorter = how(self.told[index], tokens)
            if shorter is self.told[index]:
                continue
            cost = count_message(shorter)
            if cost < self.costs[index]:
                self.total += cost - self.costs[index]
                self.told[index], self.costs[index] = shorter, cost


def fitted(before: Sequence[Message], now: Sequence[Message], most: int, *, harder: bool = False) -> Fitted | None:
    """Return the messages in at most so many tokens, or None where shorter outputs are not enough.

    The oldest outputs are shortened first. Of the turn that runs it is those before its last reply; with `harder` all
    of them, and then its code and words, too.
    """
    work = _Shortening([*before, *now], most)
    begin = len(before)
    for tokens in SHORTER:
        work.shorten(range(begin), shortened, tokens)
    for tokens in SHORTER[:2]:
        work.shorten(range(begin, begin + _last_reply(now)), shortened, tokens)
    if harder:
        _shorten_hard(work, begin)
    return Fitted(work.told[:begin], work.told[begin:], work.total) if work.fits else None


def _shorten_hard(work: _Shortening, begin: int) -> None:
    for tokens in (2000, *SHORTER):
        work.shorten(range(begin, len(work.told)), shortened, tokens)
    work.shorten(range(begin + 1, len(work.told)), _fewer_words, _LEAST_CODE_TOKENS)  # the question stays as it is


def least_tokens(messages: Sequence[Message]) -> int:
    """Return about how few tokens messages can have without being left out, by their outputs alone."""
    costs = ((count_message(message), message["role"]) for message in messages)
    return sum(min(cost, SHORTER[-1] + _NOTE_TOKENS) if role == "tool" else cost for cost, role in costs)


def folded(now: Sequence[Message], most: int) -> list[Message] | None:
    """Return the turn that runs with its oldest rounds told in a few words, or None where even that is too much."""
    work = _Shortening(now, 0)
    _shorten_hard(work, 0)
    now = work.told
    starts = [index for index, message in enumerate(now) if message["role"] == "assistant"]
    for start in starts[1:]:
        rounds = sum(1 for index in starts if index < start)
        words = (
            f"[{rounds} earlier steps of this turn are left out here: the window is full. They ran; files are kept.]"
        )
        first = now[start]
        kept = {**first, "content": f"{words}\n{first.get('content') or ''}".strip()}
        told = [now[0], kept, *now[start + 1 :]]
        if count_messages(told) <= most:
            return told
    return None


def shortened(message: Message, most_tokens: int) -> Message:
    """Return a tool's result with its middle cut out, and where the whole of it is; other messages as they are."""
    content = message.get("content")
    if message["role"] != "tool" or not isinstance(content, str):
        return message
    if count_text(content) <= most_tokens + _NOTE_TOKENS:
        return message
    return {**message, "content": _shorter(content, most_tokens)}


@lru_cache(maxsize=1000)
def _shorter(content: str, most_tokens: int) -> str:
    files = dict.fromkeys(_SPILLED.findall(content))
    note = _WHOLE_KEPT.format(", ".join(list(files)[:3])) if files else _NOT_KEPT
    return f"{cut_middle(content, most_tokens)}\n{note}"


def _fewer_words(message: Message, most_tokens: int) -> Message:
    """Return a reply of the model with its words and its code cut in the middle."""
    if message["role"] != "assistant":
        return message
    fewer = dict(message)
    if isinstance(message.get("content"), str):
        fewer["content"] = cut_middle(message["content"], most_tokens)
    if message.get("tool_calls"):
        fewer["tool_calls"] = [_shorter_call(call, most_tokens) for call in message["tool_calls"]]
    return fewer


def _shorter_call(call: dict[str, Any], most_tokens: int) -> dict[str, Any]:
    function = call["function"]
    arguments = {
        name: cut_middle(value, most_tokens) if isinstance(value, str) else value
        for name, value in json.loads(function["arguments"]).items()
    }
    return {**call, "function": {**function, "arguments": json.dumps(arguments)}}


def _last_reply(now: Sequence[Message]) -> int:
    """Return where the last reply begins."""
    return max((index for index, message in enumerate(now) if message["role"] == "assistant"), default=len(now))
