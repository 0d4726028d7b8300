"""What a model is asked with, and what a server's refusal teaches about how to ask it. Pure."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import openai
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from orchestrator.chat.fenced import as_told
from orchestrator.config_models import OutputLimit

# What a server was found to do without, or to want otherwise.
Lesson = Literal[
    "no stream_options",
    "no parallel_tool_calls",
    "no tools",
    "other output limit",
    "no output limit",
    "short call ids",  # Mistral's: nine letters and digits, which those of other models in the conversation are not
    "thoughts back",  # DeepSeek's: what was thought before a call comes back with it
]
_REFUSING = frozenset({400, 404, 415, 422, 500, 501})
_NO_TOOLS = re.compile(
    r"not support\w*[^.]{0,60}\b(tools?|functions?)\b|\b(tools?|functions?)\b[^.]{0,60}not support"
    r"|tool[ _]choice[^.]{0,40}requires|tools param requires|support (tool|function)[ _-]?(use|call)"
    r"|(unknown|unrecogni[sz]ed|unexpected|extra|unsupported|not permitted|forbidden)[^.]{0,80}['\"]?\btools\b"
    r"|\btools\b['\"]?[^.]{0,80}(unknown|unrecogni[sz]ed|unexpected|extra|unsupported|not permitted|not allowed)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model wants to be asked, as the config says it."""

    called: str
    tools: bool = True
    stream_usage: bool = True
    parallel_calls: bool = True
    output_limit: OutputLimit = "max_tokens"
    max_output: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)


def is_fenced(manner: Manner, learned: Collection[Lesson], tools: Collection[object]) -> bool:
    """Tell whether the model calls by blocks in its text."""
    return bool(tools) and (not manner.tools or "no tools" in learned)


def request(
    manner: Manner,
    learned: Collection[Lesson],
    told: Sequence[ChatCompletionMessageParam],
    tools: Sequence[ChatCompletionToolParam],
    thoughts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the body of a request: the parameters of Chat Completions, and nothing that the server refused before.

    `thoughts` has what was thought before a call, by the call's id.
    """
    fenced = is_fenced(manner, learned, tools)
    messages: list[Any] = as_told(told) if fenced else list(told)
    if "thoughts back" in learned:
        messages = [_with_thoughts(message, thoughts or {}) for message in messages]
    if "short call ids" in learned:
        messages = [_with_short_ids(message) for message in messages]
    body: dict[str, Any] = {"model": manner.called, "messages": messages, "stream": True}
    if manner.stream_usage and "no stream_options" not in learned:
        body["stream_options"] = {"include_usage": True}
    if tools and not fenced:
        body["tools"] = list(tools)
        if not manner.parallel_calls and "no parallel_tool_calls" not in learned:
            body["parallel_tool_calls"] = False
    if manner.max_output is not None and "no output limit" not in learned:
        body[_limit(manner, learned)] = manner.max_output
    return body


def lesson(error: Exception, body: Mapping[str, Any], manner: Manner, learned: Collection[Lesson]) -> Lesson | None:
    """Return what a refusal teaches, where it is one by a server that does not know a field of the request."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in _REFUSING:
        return None
    words = _words(error)
    if "stream_options" in body and re.search(r"stream_options|include_usage", words):
        return "no stream_options"
    if "parallel_tool_calls" in body and "parallel_tool_calls" in words:
        return "no parallel_tool_calls"
    if "short call ids" not in learned and re.search(r"tool[ _]call[ _]?id[^.]*\b9\b", words, re.IGNORECASE):
        return "short call ids"
    if "thoughts back" not in learned and "reasoning_content" in words:
        return "thoughts back"
    limit = _limit(manner, learned)
    if limit in body and re.search(rf"\b{limit}\b", words) and _is_about(error, limit, words):
        return "no output limit" if "other output limit" in learned else "other output limit"
    if "tools" in body and (error.param == "tools" or _NO_TOOLS.search(words)):
        return "no tools"
    return None


def _with_thoughts(message: Mapping[str, Any], thoughts: Mapping[str, str]) -> Mapping[str, Any]:
    calls = message.get("tool_calls")
    return {**message, "reasoning_content": thoughts.get(calls[0]["id"], "")} if calls else message


def _with_short_ids(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if calls := message.get("tool_calls"):
        return {**message, "tool_calls": [{**call, "id": _short(call["id"])} for call in calls]}
    if "tool_call_id" in message:
        return {**message, "tool_call_id": _short(message["tool_call_id"])}
    return message


def _short(call_id: str) -> str:
    return sha256(call_id.encode()).hexdigest()[:9]


def _limit(manner: Manner, learned: Collection[Lesson]) -> OutputLimit:
    other: OutputLimit = "max_tokens" if manner.output_limit == "max_completion_tokens" else "max_completion_tokens"
    return other if "other output limit" in learned else manner.output_limit


def _is_about(error: openai.APIStatusError, field_name: str, words: str) -> bool:
    """Tell whether the field is not known; one that is only too large is something else."""
    said = error.code == "unsupported_parameter" or error.param == field_name
    return said or re.search(r"not supported|unsupported|unknown|unrecogni|extra|not permitted", words) is not None


def _words(error: openai.APIStatusError) -> str:
    """Return all that the server said, whatever the form: an error object, or a list of what is wrong."""
    try:
        body = json.dumps(error.body, default=str)
    except (ValueError, RecursionError):
        body = ""
    return f"{error.message} {body}"[:20_000]
