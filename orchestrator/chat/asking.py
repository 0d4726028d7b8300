"""Asking a model for one reply, streamed: again where that may help, in another way where a server wants it.

A reply is acted upon only when it is whole, so to ask for it again repeats nothing that was executed.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
import structlog
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.completion import ModelReply
from orchestrator.chat.failures import filtered, in_words, model_failure
from orchestrator.chat.patience import Patience, retry_after_s
from orchestrator.chat.prompt import TOOL
from orchestrator.chat.request import Lesson, Manner, is_fenced, lesson, request
from orchestrator.chat.stream import BrokenStream, ChunkReader, EndlessStream
from orchestrator.chat.usage import ModelUse, estimated, used_by
from orchestrator.config_models import Price
from orchestrator.events import EventLog, Notice, ReplyRestarted, ReplyUsage
from orchestrator.limits import MODEL_CLOSE_S, MODEL_LAST_CHUNK_S, MODEL_REPLY_S
from orchestrator.metrics import MODEL_ERRORS
from orchestrator.store.usage import ReplyRecord, Used

log = structlog.get_logger()
WAITS = "model_waits"  # the notice that a busy provider is waited for
_TOLD_WAIT_S = 2.0  # a shorter wait is over before anybody has read of it
_TOOLS = (TOOL,)


@dataclass(frozen=True, slots=True)
class Target:
    """A model at its provider, and how it is asked there. What its server taught is shared by all who ask it."""

    model: str
    client: AsyncOpenAI
    manner: Manner
    capabilities: Capabilities = field(default_factory=Capabilities)
    price: Price | None = None
    patience: Patience = field(default_factory=Patience)
    learned: set[Lesson] = field(default_factory=set)
    key: str = ""
    own_key: bool = False  # the person's, who asks


class Asker:
    """One model, as a turn asks it, in the name of a person and a session."""

    def __init__(
        self,
        target: Target,
        use: ModelUse,
        owner: str,
        session_id: str,
        tools: Sequence[ChatCompletionToolParam] = _TOOLS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.model = target.model
        self.capabilities = target.capabilities
        self._target = target
        self._use = use
        self._owner = owner
        self._session_id = session_id
        self._tools = tools
        self._sleep = sleep
        self._thoughts: dict[str, str] = {}  # before the calls of this turn, by their ids

    async def ask(
        self,
        reply: ModelReply,
        told: Sequence[ChatCompletionMessageParam],
        events: EventLog,
        *,
        round_number: int = 0,
    ) -> None:
        """Fill a reply as it streams in; watchers see it in `events`. What came of it before an error stays in it.

        Raises:
            TooManyRequests: the person has used up what they may use in a day; nothing was asked.
            WindowRefused: what is told is too long for the model.
            ModelUnavailable: the provider failed, and went on failing, or refused.

        """
        if not self._target.own_key:
            await self._use.check(self._owner)
        spent, tools = _Spent(), self._tools
        failed = 0
        try:
            while True:
                body = request(self._target.manner, self._target.learned, told, tools, self._thoughts)
                reply.is_fenced = is_fenced(self._target.manner, self._target.learned, tools)
                try:
                    await self._attempt(reply, body, events, spent)
                except Exception as error:
                    learns = self._learns(error, body)
                    wait_s = 0.0 if learns else self._target.patience.wait_s(error, failed)
                    if wait_s is None:
                        self._give_up(error, reply, events)
                        break
                    failed += not learns
                    log.info("a reply is asked for again", model=self.model, error=type(error).__name__, wait_s=wait_s)
                    self._tell_restart(reply, events, round_number, wait_s)
                    await self._sleep(wait_s)
                else:
                    break
            self._judge(reply, events)
            self._thoughts |= {call.id: reply.reasoning for call in reply.calls[:1] if reply.reasoning}
        finally:
            if spent.last is not None:
                window = self.capabilities.window
                total = spent.total
                events.append(ReplyUsage(total.tokens_in, total.tokens_out, total.cost, spent.last.tokens_in, window))

    def _learns(self, error: Exception, body: Mapping[str, Any]) -> bool:
        """Heed what a refusal teaches, and tell whether it taught anything."""
        learned = lesson(error, body, self._target.manner, self._target.learned)
        if learned is None:
            return False
        log.info("a model is asked in another way", model=self.model, lesson=learned)
        self._target.learned.add(learned)
        return True

    def _tell_restart(self, reply: ModelReply, events: EventLog, round_number: int, wait_s: float) -> None:
        if not reply.is_empty:
            events.append(ReplyRestarted(round_number))
        if wait_s >= _TOLD_WAIT_S:
            events.append(Notice(WAITS, f"The provider is busy; asking again in {in_words(wait_s)}."))
        reply.restart()

    def _give_up(self, error: Exception, reply: ModelReply, events: EventLog) -> None:
        """Raise what is told about an error, unless what came before it can be used all the same."""
        if isinstance(error, _CutOff) and not reply.is_empty:
            events.append(Notice("reply_cut", "The model's reply broke off in the middle."))
            return
        failure = model_failure(
            error, secrets=(self._target.key,), own_key=self._target.own_key, wait_s=retry_after_s(error)
        )
        if failure is None:
            raise error
        MODEL_ERRORS.count(failure.code)
        raise failure from error

    def _judge(self, reply: ModelReply, events: EventLog) -> None:
        """Say what is special about how a reply ended. Raises ModelUnavailable where a filter ended it."""
        if reply.too_long:
            events.append(Notice("reply_too_long", "The model's reply had no end and was cut off."))
            reply.calls.clear()
        elif reply.finish_reason == "content_filter":
            reply.calls.clear()
            failure = filtered()
            MODEL_ERRORS.count(failure.code)
            raise failure
        elif reply.finish_reason == "length":
            events.append(Notice("reply_too_long", "The model's reply was cut off at the provider's limit."))

    async def _attempt(self, reply: ModelReply, body: dict[str, Any], events: EventLog, spent: "_Spent") -> None:
        """Ask once. What was used is counted however it ends."""
        reader = ChunkReader()
        try:
            async with asyncio.timeout(MODEL_REPLY_S) as deadline:
                async with aclosing(self._bytes(body)) as pieces:
                    async for data in pieces:
                        await asyncio.sleep(0)  # a server that never pauses must not keep all others waiting
                        _take(reader.feed(data), reply, events)
                        if reply.too_long or reply.block_ended:
                            break
                        _expect_end(deadline, reader, reply)
                    else:
                        _take(reader.finish(), reply, events)
            if not (reply.finish_reason or reader.done or reply.too_long or reply.block_ended):
                raise _CutOff
        except (TimeoutError, EndlessStream):
            # After the reason why it ended, only its usage was waited for.
            if not (reply.finish_reason or reader.done):
                events.append(Notice("reply_too_long", "The model's reply had no end and was cut off."))
                reply.calls.clear()
        except Exception:
            if not (reply.finish_reason or reader.done):
                raise
        finally:
            for event in reply.finish():
                events.append(event)
            if reply.usage or reply.finish_reason or not reply.is_empty:
                spent.add(await self._count(body, reply))

    async def _bytes(self, body: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """Yield the answer as it comes; to stop taking it ends the server's work. Errors are the SDK's."""
        create = self._target.client.chat.completions.with_streaming_response.create
        # The SDK looks through what it is given as messages, piece by piece: 0.1 s of a long conversation.
        whole = {**body, **self._target.manner.extra_body}
        async with create(model=body["model"], messages=[], stream=True, extra_body=whole) as response:
            try:
                async for data in response.iter_bytes():
                    yield data
            except httpx2.TimeoutException as error:
                raise openai.APITimeoutError(request=response.http_request) from error
            except (httpx2.RequestError, ssl.SSLError) as error:
                raise openai.APIConnectionError(request=response.http_request) from error

    async def _count(self, body: Mapping[str, Any], reply: ModelReply) -> Used:
        usage = reply.usage
        if usage is None or not usage["prompt_tokens"]:
            usage = await estimated(body, reply)
        used = used_by(usage, self._target.price)
        record = ReplyRecord(self._owner, self._session_id, self.model, used, own_key=self._target.own_key)
        await asyncio.shield(self._use.add(record))
        return used


class _CutOff(BrokenStream):
    """The stream ended, and said nothing of an end."""


class _Spent:
    """What all attempts at one reply used together, and the last of them."""

    def __init__(self) -> None:
        self.total = Used()
        self.last: Used | None = None

    def add(self, used: Used) -> None:
        costs = [one for one in (self.total.cost, used.cost) if one is not None]
        self.total = Used(
            self.total.tokens_in + used.tokens_in,
            self.total.tokens_out + used.tokens_out,
            sum(costs) if costs else None,
        )
        self.last = used


def _take(chunks: Sequence[dict[str, Any]], reply: ModelReply, events: EventLog) -> None:
    """Add chunks to a reply. Raises the SDK's error where one is an error."""
    for chunk in chunks:
        if error := chunk.get("error"):
            message = error.get("message") if isinstance(error, dict) else error
            words = message if isinstance(message, str) else "an error in the middle of the stream"
            raise openai.APIError(words, _NO_REQUEST, body=error)
        for event in reply.take(chunk):
            events.append(event)


_NO_REQUEST = httpx2.Request("POST", "http://provider/chat/completions")


def _expect_end(deadline: asyncio.Timeout, reader: ChunkReader, reply: ModelReply) -> None:
    """Wait no longer for what may come behind a reply's end than that is worth."""
    if reader.done or reply.finish_reason:
        soon = asyncio.get_running_loop().time() + (MODEL_CLOSE_S if reader.done else MODEL_LAST_CHUNK_S)
        deadline.reschedule(min(soon, deadline.when() or soon))
