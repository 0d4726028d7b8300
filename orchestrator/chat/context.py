"""What a model is told in each round of a turn: system prompt, conversation, and the turn so far, within its window.

What is too much is made shorter in this order: old outputs, then old turns (a model summarises them), then what came
earlier in the turn that runs. The system prompt, the list of files and the latest question are always told whole.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.completion import ToolCall
from orchestrator.chat.knowledge import Learned, Surroundings
from orchestrator.chat.looking import Looker
from orchestrator.chat.memory import Memory, OldTurn, old_turns
from orchestrator.chat.prompt import LOOK_NAME, LOOK_TOOL, TOOL, Sight, assistant_messages, question, system_prompt
from orchestrator.chat.showing import Pictures, unseen
from orchestrator.chat.tables import HEADING
from orchestrator.chat.tokens import REPLY_TOKENS, count_message, count_messages, count_tools, encoding
from orchestrator.chat.tool_result import bounded_result
from orchestrator.chat.window import Message, fitted, folded, least_tokens, room
from orchestrator.errors import ModelUnavailable
from orchestrator.events import EventLog
from orchestrator.limits import REFUSED_SHARE, SMALLEST_ROOM_TOKENS, SMALLEST_SHARE
from orchestrator.store.records import CellRecord, MessageRecord
from orchestrator.workspace.folder import FoundFile

_TITLE = "That does not fit into the model's window"


@dataclass
class Learnt:
    """What asking a model has taught about it: how much of its window its provider takes."""

    share: float = 1.0


@dataclass(frozen=True)
class Subject:
    """What a turn is about: the branch that ends with its question, its cells' results, and the workspace's files."""

    model: str
    about: Capabilities
    limits: Mapping[str, Any]
    extra: str
    branch: Sequence[MessageRecord]
    results: Mapping[str, str]
    files: Sequence[FoundFile]
    result_tokens: int
    learnt: Learnt = field(default_factory=Learnt)


class Context:
    """The context of one turn. A model that sees has `pictures`; one for which another looks has a `looker`."""

    def __init__(
        self,
        subject: Subject,
        memory: Memory,
        surroundings: Surroundings | None = None,
        pictures: Pictures | None = None,
        looker: Looker | None = None,
    ) -> None:
        self._subject = subject
        self._memory = memory
        self._surroundings = surroundings
        self._pictures = pictures
        self._looker = looker
        self._turns: list[OldTurn] | None = None
        self.window_tokens = 0  # of the last request, as they are counted here

    @property
    def tools(self) -> list[ChatCompletionToolParam]:
        """The tools that the model may call."""
        return [TOOL] if self._looker is None else [TOOL, LOOK_TOOL]

    async def messages(
        self, parts: Sequence[Mapping[str, Any]], results: Mapping[str, str], events: EventLog
    ) -> list[ChatCompletionMessageParam]:
        """Return the messages for the next reply; `results` has the tool result of each of the turn's cells by its id.

        Raises:
            ModelUnavailable: not even the instructions, or the question, fit into the model's window.

        """
        branch = self._subject.branch
        learned = Learned() if self._surroundings is None else await self._surroundings.learned(events)
        if self._pictures is None:
            shown = unseen(branch[-1], asks=self._looker is not None)
        else:
            shown = await self._pictures.shown(branch, parts, events)
        tables = [HEADING, *(table.told() for table in learned.tables.values())] if learned.tables else []
        asked = question(branch[-1], self._subject.files, tables=tables, shown=shown)
        now: list[Message] = [dict(asked), *map(dict, assistant_messages(parts, results, shown))]
        if self._turns is None or self._pictures is not None:  # else it is the same in each round
            self._turns = old_turns(branch[:-1], self._subject.results, shown)
        system = self._system(learned)
        told = [system, *await self._within_window(system, self._turns, now, events)]
        self.window_tokens = await asyncio.to_thread(count_messages, told) + self._fixed_tokens()
        return told  # type: ignore[return-value]

    async def result(self, cell: CellRecord) -> str:
        """Return what the model is told of a cell of this turn that has ended."""
        if self._pictures is not None:
            self._pictures.note(cell)
        return await asyncio.to_thread(bounded_result, cell, self._subject.result_tokens)

    async def look(self, call: ToolCall) -> dict[str, str] | None:
        """Return path, question and answer of a call that looks at a picture; None for any other call."""
        if self._looker is None or call.name != LOOK_NAME:
            return None
        return await self._looker.look(call)

    def refused(self) -> None:
        """Tell less from now on: the provider found too long what was told last."""
        learnt = self._subject.learnt
        learnt.share = max(SMALLEST_SHARE, learnt.share * REFUSED_SHARE)

    def _system(self, learned: Learned) -> Message:
        sight = Sight.SEES if self._pictures else Sight.ASKS if self._looker else Sight.BLIND
        subject = self._subject
        text = system_prompt(subject.limits, subject.extra, packages=learned.packages, sight=sight)
        return {"role": "system", "content": text}

    def _fixed_tokens(self) -> int:
        return count_tools(self.tools) + REPLY_TOKENS

    async def _within_window(
        self, system: Message, turns: Sequence[OldTurn], now: list[Message], events: EventLog
    ) -> list[Message]:
        """Return conversation and turn so that they fit, with as few turns as a summary as can be."""
        left = await asyncio.to_thread(self._left_beside, system)
        while True:
            for start in await self._memory.starts(turns):
                before = [*start.opening, *(message for turn in turns[start.turns :] for message in turn.messages)]
                found = await asyncio.to_thread(_tried, before, now, left)
                if found is not None:
                    return found
            if not await self._memory.extend(turns, left, now, events):
                break
        shortest = (await self._memory.starts(turns))[-1]
        found = await asyncio.to_thread(lambda: _hard(shortest.cut(left // 3).opening, now, left))
        if found is None:
            raise self._too_long(now[0], left)
        return found

    def _left_beside(self, system: Message) -> int:
        """Return how many tokens there are for the conversation. Blocks.

        Raises:
            ModelUnavailable: too few for any.

        """
        subject = self._subject
        fixed = self._fixed_tokens() + count_message(system)
        left = room(subject.about, exact=encoding() is not None, share=subject.learnt.share) - fixed
        if left < SMALLEST_ROOM_TOKENS:
            raise ModelUnavailable(
                f"The window of {subject.model} ({subject.about.window:,} tokens) is too small: Glovebox's "
                f"instructions alone take {fixed:,}, and the reply needs room, too. Choose a model with a larger "
                "window, or ask whoever runs this Glovebox to look at the window that the config has for this one.",
                code="window_too_small",
                title=_TITLE,
            )
        return left

    def _too_long(self, asked: Message, left: int) -> ModelUnavailable:
        return ModelUnavailable(
            f"Your message has about {count_message(asked):,} tokens with what is told of the files, and the window of "
            f"{self._subject.model} leaves {left:,}. Shorten it, put long text into a file, or choose a model with a "
            "larger window.",
            code="message_too_long",
            title=_TITLE,
        )


def _tried(before: list[Message], now: list[Message], left: int) -> list[Message] | None:
    """Return all of it in at most so many tokens, outputs shortened where that is enough. Blocks."""
    if least_tokens(before) + least_tokens(now) > left:
        return None
    found = fitted(before, now, left)
    return found.messages if found is not None else None


def _hard(before: list[Message], now: list[Message], left: int) -> list[Message] | None:
    """Return all of it in at most so many tokens, by shortening the turn that runs, too. Blocks."""
    found = fitted(before, now, left, harder=True)
    if found is not None:
        return found.messages
    kept = folded(now, left - count_messages(before))
    return None if kept is None else [*before, *kept]
