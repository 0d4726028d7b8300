"""Asking a model for one reply, streamed."""

from collections.abc import Sequence

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from orchestrator.chat.completion import ModelReply
from orchestrator.chat.prompt import TOOL
from orchestrator.chat.usage import count_usage
from orchestrator.config import Price
from orchestrator.events import EventLog, Notice


class Asker:
    """One model, as a turn asks it."""

    def __init__(
        self,
        model: str,
        client: AsyncOpenAI,
        price: Price | None,
        tools: Sequence[ChatCompletionToolParam] = (TOOL,),
    ) -> None:
        self.model = model
        self._client = client
        self._price = price
        self._tools = list(tools)

    async def ask(self, reply: ModelReply, told: Sequence[ChatCompletionMessageParam], events: EventLog) -> None:
        """Fill a reply as it streams in; watchers see it in `events`. What came before an error stays in it."""
        stream = await self._client.chat.completions.create(
            model=self.model,
            messages=[],
            # The SDK looks through what it is given as messages, piece by piece: 0.1 s of a long conversation.
            extra_body={"messages": list(told), "tools": self._tools},
            stream=True,
            stream_options={"include_usage": True},
        )
        try:
            async with stream:
                async for chunk in stream:
                    for event in reply.take(chunk):
                        events.append(event)
                    if reply.too_long:
                        break
        finally:
            count_usage(self.model, reply.usage, self._price)
        if reply.too_long:
            events.append(Notice("reply_too_long", "The model's reply had no end and was cut off."))
            reply.calls.clear()
        elif reply.finish_reason is None:
            events.append(Notice("reply_cut", "The model's reply broke off in the middle."))
        elif reply.finish_reason == "length":
            events.append(Notice("reply_too_long", "The model's reply was cut off at the provider's limit."))
