"""Asking a model for one text: no tools, nobody watching. For summaries, and for looks at pictures."""

import asyncio
from collections.abc import Sequence

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from orchestrator.chat.completion import ModelReply
from orchestrator.chat.failures import model_failure
from orchestrator.chat.models import Models
from orchestrator.chat.usage import count_usage
from orchestrator.errors import ModelUnavailable
from orchestrator.limits import SUMMARY_S


class Answerer:
    """A model that is asked aside, in the name of a person and a session."""

    def __init__(self, model: str, models: Models, owner: str, session_id: str) -> None:
        self.model = model
        self.capabilities = models.about(model)
        self._client: AsyncOpenAI = models.client(model)
        self._price = models.price(model)

    async def answer(self, told: Sequence[ChatCompletionMessageParam], most_chars: int) -> str:
        """Return what the model says, cut off where it has no end.

        Raises:
            ModelUnavailable: it fails, says nothing, or takes too long.

        """
        reply = ModelReply()
        try:
            async with asyncio.timeout(SUMMARY_S):
                await self._ask(reply, told, most_chars)
        except TimeoutError as error:
            raise ModelUnavailable("The model did not answer in time.", code="model_timeout") from error
        except Exception as error:
            raise model_failure(error) or error from error
        finally:
            count_usage(self.model, reply.usage, self._price)
        if not reply.text.strip():
            raise ModelUnavailable("The model said nothing.", code="model_nonsense")
        return reply.text.strip()[:most_chars]

    async def _ask(self, reply: ModelReply, told: Sequence[ChatCompletionMessageParam], most_chars: int) -> None:
        stream = await self._client.chat.completions.create(
            model=self.model,
            messages=[],
            extra_body={"messages": list(told)},  # the SDK does not look through it, which takes long
            stream=True,
            stream_options={"include_usage": True},
        )
        async with stream:
            async for chunk in stream:
                reply.take(chunk)
                if len(reply.text) > most_chars or reply.too_long:
                    break
