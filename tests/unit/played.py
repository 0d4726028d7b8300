"""Parts of a chat that are played: a session whose cells end as told, and a model that says what it was told to say."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openai.types.chat import ChatCompletionMessageParam

from orchestrator.chat.capabilities import Capabilities
from orchestrator.chat.completion import ModelReply, ToolCall
from orchestrator.chat.context import Context, Subject
from orchestrator.chat.memory import Memory
from orchestrator.config import Profile
from orchestrator.errors import GloveboxError
from orchestrator.events import CellStarted, Event, EventLog, Notice, SandboxState, TextDelta
from orchestrator.sessions.ending import finished_event
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord, MessageRecord

JSON = dict[str, Any]


def printed(text: str) -> JSON:
    return {"output_type": "stream", "name": "stdout", "text": text}


def raised(ename: str, evalue: str) -> JSON:
    return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": [f"{ename}: {evalue}"]}


def plain_context(session_id: str) -> Context:
    """Return the context of a turn that nothing came before."""
    limits, question = Profile().limits(), MessageRecord("q", session_id, "user", datetime.now(UTC), content="q")
    subject = Subject("played", Capabilities(), limits, "", [question], {}, [], 4000)
    nobody: Any = None  # is asked for a summary
    return Context(subject, Memory(nobody, session_id, nobody))


class PlayedFolder:
    """A workspace, as far as a chat asks for it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def list_files(self) -> list[Any]:
        return [type("File", (), {"path": path, "size": 1, "changed_ns": 0})() for path in self.paths]


class PlayedSession:
    """A session without a sandbox. Code that begins with `raise` fails, `hang` runs until it is stopped.

    `queued` waits for a sandbox for ever, and `none` gets none. All else prints itself.
    """

    profile = Profile()
    owner = "ann"
    sandbox = type("Sandbox", (), {"running": False})()

    def __init__(self, session_id: str, conversation: ConversationStore) -> None:
        self.id = session_id
        self.folder = PlayedFolder()
        self.ran: list[str] = []
        self.stubborn = False
        self._conversation = conversation
        self._stopping = asyncio.Event()
        self._running: str | None = None

    async def files(self) -> PlayedFolder:
        return self.folder

    async def run_cell(
        self, code: str, timeout_s: float | None, events: EventLog, message_id: str | None = None
    ) -> CellRecord:
        cell = CellRecord(uuid.uuid4().hex, self.id, message_id, code, datetime.now(UTC))
        if code == "queued":
            events.append(SandboxState("queued", 1))
            await asyncio.Event().wait()
        if code == "none":
            raise GloveboxError("There is no sandbox.", code="sandbox_unavailable")
        await self._conversation.begin_cell(cell)
        self.ran.append(code)
        self._running = message_id
        events.append(CellStarted(cell.cell_id, code))
        status, outputs = "ok", [printed(code)]
        if code == "hang":
            await self._stopping.wait()
            status, outputs = "interrupted", [raised("KeyboardInterrupt", "")]
        elif code.startswith("raise"):
            status, outputs = "error", [raised(*code.removeprefix("raise ").split(" ", 1))]
        elif code in ("timeout", "out_of_memory", "sandbox_lost"):
            status = code
        self._running = None
        ended = replace(cell, status=status, execution_count=len(self.ran), outputs=outputs)
        await self._conversation.finish_cell(ended)
        events.append(finished_event(ended))
        return ended

    def stop_cell(self, message_id: str) -> bool:
        if self._running != message_id:
            return False
        self._stopping.set()
        return True


Said = str | list[str] | Exception | Callable[[ModelReply, EventLog], Any]


class PlayedAsker:
    """A model that says one thing after the other: text, the code of cells, an error, or whatever a function does."""

    model = "played"

    def __init__(self, *says: Said) -> None:
        self._says: Iterator[Said] = iter(says)
        self.told: list[list[ChatCompletionMessageParam]] = []

    async def ask(
        self, reply: ModelReply, told: Sequence[ChatCompletionMessageParam], events: EventLog, **_how: object
    ) -> None:
        self.told.append(list(told))
        match next(self._says):
            case str(text):
                reply.text = text
                events.append(TextDelta(text))
            case list(codes):
                reply.calls = [called(code, f"call-{number}") for number, code in enumerate(codes)]
            case Exception() as error:
                raise error
            case play:
                assert callable(play)
                await play(reply, events)

    @property
    def last_results(self) -> list[str]:
        """What the model was told of the cells since it spoke last."""
        results: list[str] = []
        for message in reversed(self.told[-1]):
            if message["role"] != "tool":
                break
            results.insert(0, str(message["content"]))
        return results


def called(code: str, call_id: str = "call") -> ToolCall:
    return ToolCall(call_id, "run_python", json.dumps({"code": code}))


def of_type(log: EventLog, *kinds: str) -> list[Event]:
    return [event for event in log.since(0) if event.type in kinds]


def notices(log: EventLog) -> list[str]:
    return [event.code for event in log.since(0) if isinstance(event, Notice)]


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that is bound to come."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'glovebox.sqlite'}"
