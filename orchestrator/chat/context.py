"""What a model is told in each round of a turn: system prompt, conversation, and the turn so far."""

from collections.abc import Mapping, Sequence
from typing import Any

from openai.types.chat import ChatCompletionMessageParam

from orchestrator.chat.prompt import assistant_messages


class Context:
    """The context of one turn. `earlier` is the conversation up to and with the user's message."""

    def __init__(self, system: str, earlier: Sequence[ChatCompletionMessageParam]) -> None:
        self._system = system
        self._earlier = list(earlier)

    async def messages(
        self, parts: Sequence[Mapping[str, Any]], results: Mapping[str, str]
    ) -> list[ChatCompletionMessageParam]:
        """Return the messages for the next reply; `results` has the tool result of each cell by its id."""
        return [
            {"role": "system", "content": self._system},
            *self._earlier,
            *assistant_messages(parts, results),
        ]
