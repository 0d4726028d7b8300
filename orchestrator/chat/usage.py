"""What models' replies used: counted for metrics, sessions and people, and held against the quotas of a day."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from orchestrator.chat.completion import ModelReply
from orchestrator.chat.failures import in_words
from orchestrator.chat.tokens import encoding
from orchestrator.config_models import Price
from orchestrator.config_quotas import Quota
from orchestrator.errors import TooManyRequests
from orchestrator.metrics import MODEL_COST, MODEL_TOKENS
from orchestrator.sessions.quota import QuotaOf
from orchestrator.store.usage import ReplyRecord, SessionUse, UsageStore, Used

_PER = 1_000_000
_BYTES_PER_TOKEN = 3.5
_PICTURE_TOKENS = 800  # of one in the usual size
_MESSAGE_TOKENS = 4  # what a template puts around each
_CODE = "quota_reached"


class ModelUse:
    """What everybody used today, and what they may use. A day is one of UTC; a reply that has begun is finished."""

    def __init__(self, store: UsageStore, quota_of: QuotaOf) -> None:
        self._store = store
        self._quota_of = quota_of

    async def today(self, user_id: str) -> tuple[Used, Quota]:
        """Return what somebody used since midnight, and their quota."""
        return await self._store.of_person(user_id, _midnight()), await self._quota_of(user_id)

    async def of_session(self, session_id: str) -> SessionUse:
        """Return what a session used, and what its last request had."""
        return await self._store.of_session(session_id)

    async def check(self, user_id: str) -> None:
        """See that somebody may ask a model.

        Raises:
            TooManyRequests: what they may use in a day is used.

        """
        quota = await self._quota_of(user_id)
        if quota.tokens_per_day is None and quota.cost_per_day is None:
            return
        used = await self._store.of_person(user_id, _midnight())
        if quota.tokens_per_day is not None and used.tokens >= quota.tokens_per_day:
            raise _refused(f"{quota.tokens_per_day:,} tokens", f"{used.tokens:,}")
        if quota.cost_per_day is not None and (used.cost or 0) >= quota.cost_per_day:
            raise _refused(f"models for {quota.cost_per_day:g}", f"{used.cost or 0:.2f}")

    async def add(self, record: ReplyRecord) -> None:
        """Count what a reply used."""
        count(record.model, record.used)
        await self._store.add(record)


def count(model: str, used: Used) -> None:
    """Count a reply's tokens, and what they cost where that is known, for the metrics."""
    MODEL_TOKENS.count(model, "in", amount=used.tokens_in)
    MODEL_TOKENS.count(model, "out", amount=used.tokens_out)
    if used.cost is not None:
        MODEL_COST.count(model, used.cost)


def used_by(usage: Mapping[str, int], price: Price | None) -> Used:
    """Return what a reply used, as its provider told it."""
    told, said = usage["prompt_tokens"], usage["completion_tokens"]
    return Used(told, said, None if price is None else cost(told, said, price, usage.get("cached_tokens", 0)))


def cost(told: int, said: int, price: Price, cached: int = 0) -> float:
    """Return what so many tokens cost, in the currency of the price."""
    cached = min(cached, told)
    cached_price = price.input if price.cached_input is None else price.cached_input
    return ((told - cached) * price.input + cached * cached_price + said * price.output) / _PER


async def estimated(body: Mapping[str, Any], reply: ModelReply) -> dict[str, int]:
    """Return about how many tokens a request and its reply had, where the provider tells nothing."""
    return await asyncio.to_thread(_estimate, body, reply.text, reply.reasoning, [c.arguments for c in reply.calls])


def _estimate(body: Mapping[str, Any], *said: str | list[str]) -> dict[str, int]:
    told, pictures = _texts(body["messages"])
    tools = [json.dumps(tool) for tool in body.get("tools", ())]
    around = _MESSAGE_TOKENS * len(body["messages"]) + _PICTURE_TOKENS * pictures
    words = [part for one in said for part in (one if isinstance(one, list) else [one])]
    return {"prompt_tokens": _tokens([*told, *tools]) + around, "completion_tokens": _tokens(words), "cached_tokens": 0}


def _texts(messages: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Return all text of the messages, and how many pictures they have."""
    texts, pictures = [], 0
    for message in messages:
        content = message.get("content")
        for part in [{"text": content}] if isinstance(content, str) else content or ():
            if isinstance(part.get("text"), str):
                texts.append(part["text"])
            pictures += part.get("type") == "image_url"
        texts += [json.dumps(call) for call in message.get("tool_calls") or ()]
    return texts, pictures


def _tokens(texts: Sequence[str]) -> int:
    known = encoding()
    if known is None:
        return ceil(sum(len(text.encode()) for text in texts) / _BYTES_PER_TOKEN)
    return sum(len(known.encode(text, disallowed_special=())) for text in texts)


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _refused(limit: str, used: str) -> TooManyRequests:
    wait_s = (_midnight() + timedelta(days=1) - datetime.now(UTC)).total_seconds()
    detail = (
        f"You may use {limit} a day, and have used {used} today. It is free again at midnight UTC, in "
        f"{in_words(wait_s)}. An admin can allow more; with a key of your own, this does not count."
    )
    return TooManyRequests(detail, retry_after_s=wait_s, code=_CODE)
