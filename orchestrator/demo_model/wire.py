"""A reply as OpenAI's Chat Completions objects: one whole, or the chunks of a stream. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.demo_model.reply import Call, Refusal, Reply

# Short enough that even a short call comes in several pieces, cut wherever it falls: inside a key, an escape, a word.
ARGUMENT_PIECE = 23

# Chinese has no spaces between words, so two of its characters are a piece; else a word with the space behind it.
_PIECE = re.compile(
    r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]{1,2}\s*|[^\s\u3000-\u303f\u3400-\u9fff\uff00-\uffef]+\s*|\s+"
)

STREAM_ERROR = Refusal(500, "The server had an error in the middle of the stream.", "server_error")


@dataclass(frozen=True)
class Heading:
    """What all objects of one answer have in common."""

    answer_id: str
    created: int
    model: str
    call_ids: tuple[str, ...]


def pieces(text: str) -> list[str]:
    """Cut a text into the pieces in which it is streamed."""
    return _PIECE.findall(text)


def finish_reason(reply: Reply) -> str:
    """Return why the answer ended."""
    if reply.ending == "cut":
        return "length"
    return "tool_calls" if reply.calls else "stop"


def usage(messages: Sequence[dict[str, Any]], reply: Reply) -> dict[str, Any]:
    """Estimate the tokens; a demo has no tokenizer, and four characters to a token is the usual guess."""
    asked = len(json.dumps(messages, ensure_ascii=False)) // 4 + 1
    told = len(reply.text + "".join(call.name + call.arguments for call in reply.calls)) // 4 + 1
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


def error_body(refusal: Refusal, param: str | None = None) -> dict[str, Any]:
    """Return OpenAI's error object."""
    return {
        "error": {"message": refusal.message, "type": refusal.kind, "param": param, "code": refusal.code},
    }


def completion(heading: Heading, reply: Reply, tokens: dict[str, Any]) -> dict[str, Any]:
    """Return the whole answer as one `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call_id, call in zip(heading.call_ids, reply.calls, strict=True)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(reply)}
    return _object(heading, "chat.completion", [choice]) | {"usage": tokens}


def chunks(heading: Heading, reply: Reply, tokens: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Yield the objects of a streamed answer.

    Args:
        heading: what all of them have in common.
        reply: the answer; where its ending is not `whole`, the stream stops in the middle.
        tokens: the usage to tell in a last chunk, or None when the request did not ask for it.
    """
    deltas = list(_deltas(heading, reply))
    if reply.ending != "whole":
        yield from (_chunk(heading, delta, None, tokens) for delta in deltas[: len(deltas) // 2 + 1])
        if reply.ending == "error":
            yield error_body(STREAM_ERROR)
        return
    yield from (_chunk(heading, delta, None, tokens) for delta in deltas)
    yield _chunk(heading, {}, finish_reason(reply), tokens)
    if tokens is not None:
        yield _object(heading, "chat.completion.chunk", []) | {"usage": tokens}


def _deltas(heading: Heading, reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if reply.text else None}
    yield from ({"content": piece} for piece in pieces(reply.text))
    for index, (call_id, call) in enumerate(zip(heading.call_ids, reply.calls, strict=True)):
        yield from ({"tool_calls": [part]} for part in _call_parts(index, call_id, call))


def _call_parts(index: int, call_id: str, call: Call) -> Iterator[dict[str, Any]]:
    yield {"index": index, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
    for start in range(0, len(call.arguments), ARGUMENT_PIECE):
        yield {"index": index, "function": {"arguments": call.arguments[start : start + ARGUMENT_PIECE]}}


def _chunk(
    heading: Heading, delta: dict[str, Any], reason: str | None, tokens: dict[str, Any] | None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    # When usage is asked for, every chunk has the field, and all but the last have null in it.
    return _object(heading, "chat.completion.chunk", [choice]) | ({} if tokens is None else {"usage": None})


def _object(heading: Heading, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": heading.answer_id,
        "object": kind,
        "created": heading.created,
        "model": heading.model,
        "choices": choices,
    }
