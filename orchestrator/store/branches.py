"""A conversation as a tree: each message hangs on one before it, and one branch is shown. No I/O.

Messages are numbered as they are made, so one that hangs on another is always the younger of the two: of all that hang
on a message, the youngest has nothing behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from orchestrator.errors import NotFound


class Node(Protocol):
    """What a tree needs to know of a message."""

    @property
    def id(self) -> str:
        """Which it is."""

    @property
    def parent_id(self) -> str | None:
        """On which it hangs; None for a first one."""

    @property
    def role(self) -> str:
        """Who says it: `user` or `assistant`."""


_Node = TypeVar("_Node", bound=Node)


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is to be done so that a turn is gone: what goes, what hangs elsewhere then, and what is shown."""

    gone: tuple[str, ...]
    behind: tuple[str, ...]
    moved: tuple[str, ...]
    moved_to: str | None
    head: str | None


class Tree(Generic[_Node]):
    """The messages of a conversation, oldest first, and the last one of the branch that is shown."""

    def __init__(self, messages: Sequence[_Node], head: str | None) -> None:
        self._messages = messages
        self._by_id = {message.id: message for message in messages}
        # One that nobody set stands for the latest: what was said must never be out of sight.
        self.head = head if head in self._by_id else (messages[-1].id if messages else None)

    def message(self, message_id: str) -> _Node:
        """Return a message.

        Raises:
            NotFound: the conversation has no such message.

        """
        found = self._by_id.get(message_id)
        if found is None:
            raise NotFound(f"The conversation has no message {message_id[:64]!r}.", code="message_not_found")
        return found

    def shown(self) -> list[_Node]:
        """Return the branch that is shown."""
        return self.up_to(self.head)

    def up_to(self, message_id: str | None) -> list[_Node]:
        """Return the messages from the first one to this one."""
        branch: list[_Node] = []
        while message_id is not None and (message := self._by_id.get(message_id)) is not None:
            branch.append(message)
            message_id = message.parent_id
        return branch[::-1]

    def siblings(self, message: _Node) -> list[str]:
        """Return the messages that stand at the same place, the message itself among them, oldest first."""
        return [one.id for one in self._messages if (one.parent_id, one.role) == (message.parent_id, message.role)]

    def question_of(self, message_id: str) -> _Node:
        """Return the question of a turn, which any of its messages names. Raises NotFound."""
        message = self.message(message_id)
        if message.role == "user" or message.parent_id is None:
            return message
        return self._by_id.get(message.parent_id, message)

    def latest_behind(self, message_id: str) -> str:
        """Return the last message of the youngest branch that goes through this one. Raises NotFound."""
        return [self.message(message_id).id, *self._behind({message_id})][-1]

    def without_turn(self, message_id: str) -> Deletion:
        """Return how a turn is deleted: a question with all its answers. Raises NotFound.

        What followed hangs on what was before. Where the turn was the end of what is shown, the youngest branch that is
        left there is shown.
        """
        question = self.question_of(message_id)
        before = question.parent_id
        answers = {one.id for one in self._messages if one.parent_id == question.id and one.role != "user"}
        gone = {question.id, *answers}
        moved = tuple(one.id for one in self._messages if one.parent_id in gone and one.id not in gone)
        head = self.head
        if head in gone:
            behind = self._behind({before}, without=gone)
            head = behind[-1] if behind else before
        return Deletion(tuple(gone), tuple(self._behind(gone, without=gone)), moved, before, head)

    def _behind(self, roots: set[str | None] | set[str], without: set[str] | None = None) -> list[str]:
        """Return all that hangs on some messages, directly or not, oldest first."""
        reached: set[str | None] = {*roots}
        found = []
        for message in self._messages:
            if message.parent_id in reached:
                reached.add(message.id)
                if message.id not in (without or ()):
                    found.append(message.id)
        return found
