"""Asking a model for one text aside: no tools, nobody watching. What it uses counts as all else of the session does."""

import asyncio
from collections.abc import Sequence

from openai.types.chat import ChatCompletionMessageParam

from orchestrator.chat.completion import ModelReply
from orchestrator.chat.models import Models
from orchestrator.errors import GloveboxError, ModelUnavailable
from orchestrator.events import EventLog
from orchestrator.limits import SUMMARY_S


class Answerer:
    """A model that is asked aside, in the name of a person and a session."""

    def __init__(self, model: str, models: Models, owner: str, session_id: str) -> None:
        self.model = model
        self.capabilities = models.about(model)
        self._models = models
        self._owner = owner
        self._session_id = session_id

    async def answer(self, told: Sequence[ChatCompletionMessageParam], most_chars: int) -> str:
        """Return what the model says, cut off where it has no end.

        Raises:
            ModelUnavailable: it cannot be asked, fails, says nothing, or takes too long.

        """
        reply = ModelReply(most_chars)
        try:
            async with asyncio.timeout(SUMMARY_S):
                asker = await self._models.asker(self._owner, self._session_id, self.model, tools=())
                await asker.ask(reply, told, EventLog())
        except TimeoutError as error:
            raise ModelUnavailable("The model did not answer in time.", code="model_timeout") from error
        except ModelUnavailable:
            raise
        except GloveboxError as error:  # a quota, or a model that the config does not have any more
            raise ModelUnavailable(error.detail, code=error.code) from error
        if not reply.text.strip():
            raise ModelUnavailable("The model said nothing.", code="model_nonsense")
        return reply.text.strip()[:most_chars]
