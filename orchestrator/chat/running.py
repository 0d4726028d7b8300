"""A turn as a task with an event log: it goes on whoever watches, can be stopped, and says how it ended."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import structlog

from orchestrator.chat.approvals import Approvals
from orchestrator.chat.failures import model_failure
from orchestrator.chat.parts import Part
from orchestrator.errors import GloveboxError
from orchestrator.events import EventLog, Notice, TurnFinished
from orchestrator.limits import STOP_S
from orchestrator.metrics import MODEL_ERRORS
from orchestrator.sessions.ending import KERNEL_ENDING
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord

log = structlog.get_logger()


class RunningTurn(ABC):
    """What an assistant's message is being made by; `_work` is what makes it."""

    def __init__(self, message_id: str, session: LiveSession, conversation: ConversationStore) -> None:
        self.message_id = message_id
        self.events = EventLog()
        self.problem: dict[str, Any] | None = None
        self.approvals = Approvals(asks=False)
        self._session = session
        self._conversation = conversation
        self._parts: list[Part] = []
        self._stopping = False
        self._is_let_go = False
        self._ending = False
        self._over = False
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the turn goes on; whoever has read its last event may begin another one."""
        return self._task is not None and not self._task.done() and not self._over

    def start(self, on_end: Callable[[], object]) -> None:
        """Begin; the turn goes on whoever watches, until it ends or is stopped. Then `on_end` is called."""
        self._task = asyncio.create_task(self._run(), name=f"turn {self.message_id}")
        self._task.add_done_callback(lambda _: on_end())

    async def stop(self) -> None:
        """Stop the turn, whatever it is at, and return when it has ended.

        Only a cell that is in the kernel is waited for: it is interrupted, or told as interrupted in a moment. One that
        still waits for a sandbox is just not run.
        """
        if self._task is None:
            return
        self._stopping = True
        if self._session.stop_cell(self.message_id):
            await asyncio.wait([self._task], timeout=STOP_S)
        await self._cancel()

    async def let_go(self) -> None:
        """End the turn without ending the cell that runs: this process ends, and the next one hears the cell out."""
        self._is_let_go = True
        await self._cancel()

    async def _cancel(self) -> None:
        if self._task is not None:
            await asyncio.sleep(0)  # a task that is cancelled before its first step would end without a word
            if not self._ending:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _work(self) -> None:
        """Make the message."""

    def _notice(self, code: str, text: str, number: int) -> None:
        """Tell the person something about the turn, now and whenever they look again."""
        self.events.append(Notice(code, text))
        self._parts.append({"type": "notice", "round": number, "code": code, "text": text})

    async def _run_cell(self, code: str, number: int) -> tuple[CellRecord, list[str]]:
        """Run a cell, and return it with what was told of its kernel meanwhile, which the model is to know, too."""
        begun = len(self.events)
        told: list[str] = []
        try:
            cell = await self._session.run_cell(code, None, self.events, self.message_id)
        finally:
            for event in self.events.since(begun):
                if isinstance(event, Notice) and event.code != KERNEL_ENDING:
                    self._parts.append({"type": "notice", "round": number, "code": event.code, "text": event.text})
                    told.append(" ".join(event.text.split()))
        return cell, told

    async def _save(self, status: str = "running", problem: dict[str, Any] | None = None) -> None:
        await self._conversation.save_message(self.message_id, status, list(self._parts), problem)

    async def _run(self) -> None:
        """Run the turn and write down how it ended, whatever happens."""
        status, problem = "done", None
        try:
            await self._work()
            status = "stopped" if self._stopping else "done"
        except asyncio.CancelledError:
            status = "lost" if self._is_let_go else "stopped"
        except GloveboxError as error:
            status, problem = "failed", error.as_problem()
        except Exception as error:
            status, problem = "failed", self._explain(error)
        self._ending = True
        # Shielded: whoever ends this process at this very moment must not leave the message open.
        await asyncio.shield(self._end(status, problem))

    async def _end(self, status: str, problem: dict[str, Any] | None) -> None:
        try:
            await self._save(status, problem)
        except Exception:
            log.exception("turn not stored", message=self.message_id)
            status = "failed"
            problem = GloveboxError("The end of this turn could not be stored.", code="not_stored").as_problem()
        self.problem = problem
        self._over = True
        self.events.append(TurnFinished(status, problem))
        self.events.close()

    def _explain(self, error: Exception) -> dict[str, Any]:
        failure: GloveboxError | None = model_failure(error)
        if failure is None:
            log.exception("turn failed", message=self.message_id)
            failure = GloveboxError("The turn broke off; the log of the orchestrator says why.")
        else:
            MODEL_ERRORS.count(failure.code)
        return failure.as_problem()
