"""Old turns of a conversation, and the summaries that stand for them where a window is too small for the whole."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from orchestrator.chat.answering import Answerer
from orchestrator.chat.prompt import Shown, assistant_messages, question
from orchestrator.chat.summaries import digest, opening, summarise, summary_request, turn_in_words
from orchestrator.chat.tokens import count_messages, count_text, cut_middle, encoding
from orchestrator.chat.window import Message, least_tokens, room
from orchestrator.errors import ModelUnavailable
from orchestrator.events import EventLog, Notice
from orchestrator.store.records import MessageRecord
from orchestrator.store.summaries import SummaryStore

log = structlog.get_logger()
_FULL_SHARE = 0.6  # of the room is told after a summary was made, so that the next one is some turns away
_SUMMARY_SHARE = 6
_SUMMARY_TOKENS = 4000
_TURN_SHARE = 4  # of the summarising model's room, one turn has at most


@dataclass(frozen=True, slots=True)
class OldTurn:
    """A question and what came of it; `message_id` is the last message of it."""

    message_id: str
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class Start:
    """A way to tell a conversation: what stands for its first turns, and how many those are."""

    turns: int = 0
    summary: str = ""

    @property
    def opening(self) -> list[Message]:
        """What is told in place of those turns."""
        return opening(self.summary) if self.turns else []

    def cut(self, most_tokens: int) -> "Start":
        """Return it with a summary of at most so many tokens: one that was made for a larger window. Blocks."""
        return Start(self.turns, cut_middle(self.summary, most_tokens))


def old_turns(messages: Sequence[MessageRecord], results: Mapping[str, str], shown: Shown) -> list[OldTurn]:
    """Return a branch's messages by turns, as the provider takes them."""
    turns: list[OldTurn] = []
    for message in messages:
        if message.role == "user":
            told: list[Message] = [dict(question(message, shown=shown))]
        else:
            told = [dict(one) for one in assistant_messages(message.parts, results, shown)]
        if message.role == "user" or not turns:
            turns.append(OldTurn(message.id, told))
        else:
            turns[-1] = OldTurn(message.id, [*turns[-1].messages, *told])
    return turns


class Memory:
    """The summaries of one branch, as one turn finds and makes them."""

    def __init__(self, store: SummaryStore, session_id: str, answerer: Answerer) -> None:
        self._store = store
        self._session_id = session_id
        self._answerer = answerer
        self._known: dict[str, str] | None = None
        self._fails = False

    async def starts(self, turns: Sequence[OldTurn]) -> list[Start]:
        """Return the ways to tell the conversation, from the whole of it to the shortest one."""
        if self._known is None:
            ids = {turn.message_id for turn in turns}
            self._known = await self._store.on_branch(self._session_id, ids) if turns else {}
        known = self._known
        summed = [
            Start(number, known[turn.message_id]) for number, turn in enumerate(turns, 1) if turn.message_id in known
        ]
        return [Start(), *summed]

    async def extend(self, turns: Sequence[OldTurn], left: int, now: Sequence[Message], events: EventLog) -> bool:
        """Have more turns summarised, so that much less than `left` tokens are told; False where none are left."""
        start = (await self.starts(turns))[-1]
        if start.turns == len(turns):
            return False
        most = max(100, min(_SUMMARY_TOKENS, left // _SUMMARY_SHARE))
        end = max(start.turns + 1, await asyncio.to_thread(_summed_until, turns, left, most, now))
        if not self._fails:
            events.append(Notice("context_summarised", _told_of(end)))
        while start.turns < end:
            start = await self._further(turns, start, end, most, events)
        return True

    async def _further(self, turns: Sequence[OldTurn], start: Start, end: int, most: int, events: EventLog) -> Start:
        """Return a start that covers more turns: as many as the summarising model can be told at once."""
        words = await asyncio.to_thread(self._portion, turns[start.turns : end], start.summary, most)
        reached = turns[start.turns : start.turns + len(words)]
        text: str | None = None
        if not self._fails:
            try:
                text = await summarise(self._answerer, start.summary, words, most)
            except ModelUnavailable as error:
                self._fails = True
                log.warning("conversation not summarised", session=self._session_id, reason=error.detail)
                events.append(Notice("context_digested", f"{_NOT_SUMMARISED} {error.detail}"))
        if text is None:  # not stored: the next turn tries again
            text = await asyncio.to_thread(digest, start.summary, [turn.messages for turn in reached], most)
        else:
            await self._store.add(self._session_id, reached[-1].message_id, text)
        assert self._known is not None  # noqa: S101 - `starts` was asked before
        self._known[reached[-1].message_id] = text
        return Start(start.turns + len(words), text)

    def _portion(self, turns: Sequence[OldTurn], earlier: str, most: int) -> list[str]:
        """Return the first turns in words, as many as can be told at once, one at least. Blocks."""
        whole = room(self._answerer.capabilities, exact=encoding() is not None)
        left = whole - count_messages([dict(one) for one in summary_request(earlier, [], most)])
        portion: list[str] = []
        for turn in turns:
            words = cut_middle(turn_in_words(turn.messages), max(200, whole // _TURN_SHARE))
            left -= count_text(words) + 2
            if portion and left < 0:
                break
            portion.append(words)
        return portion


_NOT_SUMMARISED = "The conversation's beginning could not be summarised; the first words of each turn stand for it."


def _told_of(turns: int) -> str:
    first = "turn is" if turns == 1 else f"{turns} turns are"
    return f"The conversation is longer than the model's window: its first {first} told to it as a summary."


def _summed_until(turns: Sequence[OldTurn], left: int, summary: int, now: Sequence[Message]) -> int:
    """Return how many turns a summary should cover, so that there is room for some more to come. Blocks."""
    room_left = left * _FULL_SHARE - summary - least_tokens(now)
    end = len(turns)
    while end > 0 and (room_left := room_left - least_tokens(turns[end - 1].messages)) >= 0:
        end -= 1
    return end
