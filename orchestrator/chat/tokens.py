"""Counting tokens, offline too: with tiktoken where its encoding is at hand, else by a stated estimate. All blocks.

What was counted once is kept by its digest: a long conversation is told in each round, and counted in none of them.
"""

import json
import os
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import structlog
import tiktoken

from orchestrator.chat.pictures import tokens_of_part

log = structlog.get_logger()
_ENCODING = "o200k_base"
_ENCODING_FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"  # tiktoken's cache name of that encoding
_LONGEST_COUNTED_CHARS = 1_000_000
_KEPT_COUNTS = 20_000  # of some hundred bytes each

# The estimate: a piece a token. Counted on prose, code, tables of numbers and Chinese it is 0.9 to 1.7 times tiktoken's
# count; on base64 and emoji it can be half of it, which is what the margin of a window is for.
_PIECE = re.compile(
    r"[A-Z]?[a-z]{1,6}|[A-Z]{1,3}|[0-9]{1,3}|[\u0080-\u1fff]{1,2}|[^\x00-\x7f]"
    r"| (?=[0-9])| {2,16}?(?= [0-9])| {2,16}|[\n\r\t]{1,8}|[^\w\s]|_"
)
_LONGEST_PIECE = 32  # with the blanks before it

# What a message costs beside its text, and a tool beside its schema, by OpenAI's own account of it, rounded up.
MESSAGE_TOKENS = 4
CALL_TOKENS = 8
TOOL_TOKENS = 16
REPLY_TOKENS = 3  # what the reply begins with


@cache
def encoding() -> tiktoken.Encoding | None:
    """Return the encoding, or None. Blocks at its first call (0.3 s).

    tiktoken would download what it does not have, without a time limit, so it is asked only for what is there.
    """
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    if not folder or not (Path(folder) / _ENCODING_FILE).is_file():
        log.info("tokens are estimated", reason="no encoding file in TIKTOKEN_CACHE_DIR")
        return None
    try:
        return tiktoken.get_encoding(_ENCODING)
    except Exception as error:
        log.warning("tokens are estimated", reason=repr(error))
        return None


class _Counts:
    """Counts of texts that were counted before, the ones used last kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    def of(self, text: str) -> int:
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = _counted(text)
        with self._lock:
            self._kept[key] = found
            if len(self._kept) > _KEPT_COUNTS:
                self._kept.popitem(last=False)
        return found


_counts = _Counts()
_SHORT_CHARS = 64


def count_text(text: str) -> int:
    """Return how many tokens a text has."""
    return _counted(text) if len(text) <= _SHORT_CHARS else _counts.of(text)


def count_message(message: Mapping[str, Any]) -> int:
    """Return how many tokens a message has: text, pictures, calls, and what stands around them."""
    found = MESSAGE_TOKENS
    content = message.get("content")
    if isinstance(content, str):
        found += count_text(content)
    for part in content if isinstance(content, list) else ():
        found += count_text(part["text"]) if part["type"] == "text" else tokens_of_part(part)
    for call in message.get("tool_calls") or ():
        function = call["function"]
        found += CALL_TOKENS + count_text(call["id"]) + count_text(function["name"]) + count_text(function["arguments"])
    return found + count_text(message.get("tool_call_id", ""))


def count_messages(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many tokens several messages have together."""
    return sum(map(count_message, messages))


def count_tools(tools: Sequence[Mapping[str, Any]]) -> int:
    """Return how many tokens the tools' schemas have, at the most: providers write them shorter than JSON."""
    return sum(TOOL_TOKENS + count_text(json.dumps(tool, separators=(",", ":"))) for tool in tools)


def cut_middle(text: str, most_tokens: int) -> str:
    """Return the text in at most about `most_tokens` tokens: head and tail, and between them what was cut."""
    if len(text.encode()) <= most_tokens:  # a token is never less than a byte
        return text
    if len(text) > _LONGEST_COUNTED_CHARS:
        half = _LONGEST_COUNTED_CHARS // 2
        text = text[:half] + f"\n[… {len(text) - 2 * half:,} characters cut …]\n…" + text[-half:]
    half = max(1, most_tokens // 2)
    known = encoding()
    if known is None:
        pieces = len(_PIECE.findall(text))
        if pieces <= most_tokens:
            return text
        *_, last = islice(_PIECE.finditer(text), half)
        end = text[-half * _LONGEST_PIECE :]
        first = [found.start() for found in _PIECE.finditer(end)][-half]
        return _joined(text[: last.end()], pieces - 2 * half, end[first:], about="about ")
    tokens = known.encode(text, disallowed_special=())
    if len(tokens) <= most_tokens:
        return text
    head, tail = (known.decode(part, errors="ignore") for part in (tokens[:half], tokens[-half:]))
    return _joined(head, len(tokens) - 2 * half, tail)


def _counted(text: str) -> int:
    if len(text) > _LONGEST_COUNTED_CHARS:  # nobody reads it whole; it is to be cut
        return len(text)
    known = encoding()
    return len(_PIECE.findall(text)) if known is None else len(known.encode(text, disallowed_special=()))


def _joined(head: str, cut_tokens: int, tail: str, about: str = "") -> str:
    # With a mark before it, no tail that is cut just so can begin like one of our own lines.
    return f"{head}\n[… {about}{cut_tokens:,} tokens cut here …]\n…{tail}"
