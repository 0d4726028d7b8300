"""Asking a model for one text: no tools, nobody watching. For summaries, and for looks at pictures."""

import asyncio
from collections.abc import Sequence

from openai.types.chat import ChatCompletionMessageParam

from orchestrator.chat.asking import Asker
from orchestrator.chat.completion import ModelReply
from orchestrator.errors import GloveboxError, ModelUnavailable
from orchestrator.events import EventLog
from orchestrator.limits import SUMMARY_S


class Answerer:
    """A model that is asked aside."""

    def __init__(self, asker: Asker) -> None:
        self.model = asker.model
        self.capabilities = asker.capabilities
        self._asker = asker

    async def answer(self, told: Sequence[ChatCompletionMessageParam], most_chars: int) -> str:
        """Return what the model says, cut off where it has no end.

        Raises:
            ModelUnavailable: it fails, says nothing, or takes too long.

        """
        reply = ModelReply()
        try:
            async with asyncio.timeout(SUMMARY_S):
                await self._asker.ask(reply, told, EventLog(), tools=())
        except TimeoutError as error:
            raise ModelUnavailable("The model did not answer in time.", code="model_timeout") from error
        except ModelUnavailable:
            raise
        except GloveboxError as error:  # a quota that is used up
            raise ModelUnavailable(error.detail, code=error.code) from error
        if not reply.text.strip():
            raise ModelUnavailable("The model said nothing.", code="model_nonsense")
        return reply.text.strip()[:most_chars]
