"""Counting tokens, offline too: with tiktoken where its encoding is at hand, else by a stated estimate."""

import os
from functools import cache
from math import ceil
from pathlib import Path

import structlog
import tiktoken

log = structlog.get_logger()
_ENCODING = "o200k_base"
_ENCODING_FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"  # tiktoken's cache name of that encoding
_BYTES_PER_TOKEN = 3.5
_LONGEST_COUNTED_CHARS = 1_000_000


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


def cut_middle(text: str, most_tokens: int) -> str:
    """Return the text in at most about `most_tokens` tokens: head and tail, and between them what was cut. Blocks."""
    data = text.encode()
    if len(data) <= most_tokens:  # a token is never less than a byte
        return text
    known = encoding()
    if known is None:
        most_bytes = int(most_tokens * _BYTES_PER_TOKEN)
        if len(data) <= most_bytes:
            return text
        head, tail = (
            data[: most_bytes // 2].decode("utf-8", "ignore"),
            data[-most_bytes // 2 :].decode("utf-8", "ignore"),
        )
        return _joined(head, ceil((len(data) - most_bytes) / _BYTES_PER_TOKEN), tail, about="about ")
    if len(text) > _LONGEST_COUNTED_CHARS:
        half = _LONGEST_COUNTED_CHARS // 2
        text = text[:half] + f"\n[… {len(text) - 2 * half:,} characters cut …]\n…" + text[-half:]
    tokens = known.encode(text, disallowed_special=())
    if len(tokens) <= most_tokens:
        return text
    half = most_tokens // 2
    return _joined(known.decode(tokens[:half]), len(tokens) - 2 * half, known.decode(tokens[-half:]))


def _joined(head: str, cut_tokens: int, tail: str, about: str = "") -> str:
    # With a mark before it, no tail that is cut just so can begin like one of our own lines.
    return f"{head}\n[… {about}{cut_tokens:,} tokens cut here …]\n…{tail}"
