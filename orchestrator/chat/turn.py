"""One chat turn: the model speaks, its code runs, it reads the result, until it is done. A task with an event log."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import structlog

from orchestrator.chat.asking import Asker
from orchestrator.chat.completion import ModelReply, Rejected, ToolCall, read_call
from orchestrator.chat.context import Context
from orchestrator.chat.failures import model_failure
from orchestrator.config import Chat
from orchestrator.errors import GloveboxError, ModelUnavailable
from orchestrator.events import CallRejected, EventLog, TurnFinished
from orchestrator.limits import REFUSALS_OF_LENGTH, STOP_S
from orchestrator.metrics import MODEL_ERRORS, MODEL_TIMES
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.tracing import span

log = structlog.get_logger()


class GaveUp(GloveboxError):
    """The turn ended before the model was done, by a limit of the config."""

    code = "repairs_used_up"
    title = "The model did not get there"


class Turn:
    """The model's side of one turn."""

    def __init__(
        self,
        message_id: str,
        asker: Asker,
        context: Context,
        session: LiveSession,
        conversation: ConversationStore,
        config: Chat,
    ) -> None:
        self.message_id = message_id
        self.events = EventLog()
        self.problem: dict[str, Any] | None = None
        self._asker = asker
        self._context = context
        self._session = session
        self._conversation = conversation
        self._config = config
        self._parts: list[dict[str, Any]] = []
        self._results: dict[str, str] = {}
        self._failures_in_a_row = 0
        self._stopping = False
        self._is_let_go = False
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the turn goes on."""
        return self._task is not None and not self._task.done()

    def start(self, on_end: Callable[[], object]) -> None:
        """Begin; the turn goes on whoever watches, until it ends or is stopped. Then `on_end` is called."""
        self._task = asyncio.create_task(self._run(), name=f"turn {self.message_id}")
        self._task.add_done_callback(lambda _: on_end())

    async def stop(self) -> None:
        """Stop the turn, in the text or in a cell, and return when it has ended."""
        if self._task is None:
            return
        self._stopping = True
        if self._session.running_message_id == self.message_id:
            await self._session.interrupt(must_end=True)
            await asyncio.wait([self._task], timeout=STOP_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def let_go(self) -> None:
        """End the turn without ending the cell that runs: this process ends, and the next one hears the cell out."""
        if self._task is not None:
            self._is_let_go = True
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Run the turn and write down how it ended, whatever happens."""
        status, problem = "done", None
        try:
            with span("turn", session=self._session.id, model=self._asker.model):
                await self._rounds()
            status = "stopped" if self._stopping else "done"
        except asyncio.CancelledError:
            status = "lost" if self._is_let_go else "stopped"
        except GloveboxError as error:
            status, problem = "failed", error.as_problem()
        except Exception as error:
            status, problem = "failed", self._explain(error)
        # Shielded: a stop that comes at this very moment must not leave the message open.
        await asyncio.shield(self._end(status, problem))

    async def _end(self, status: str, problem: dict[str, Any] | None) -> None:
        try:
            await self._save(status, problem)
        except Exception:
            log.exception("turn not stored", message=self.message_id)
            status = "failed"
            problem = GloveboxError("The end of this turn could not be stored.", code="not_stored").as_problem()
        self.problem = problem
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

    async def _rounds(self) -> None:
        for number in range(self._config.max_rounds):
            with MODEL_TIMES.timed(self._asker.model), span("model call", model=self._asker.model, round=number):
                reply = await self._ask(number)
            if not reply.calls:
                return
            await self._save("running")
            for call in reply.calls:
                await self._do(call, number)
                await self._save("running")
                if self._stopping:
                    return
            if self._failures_in_a_row > self._config.max_repairs:
                raise GaveUp(
                    f"{self._failures_in_a_row} cells in a row failed, which is the limit for one turn. "
                    "What ran is kept; say how to go on."
                )
        raise GaveUp(
            f"The model used up its {self._config.max_rounds} replies for one turn. What ran is kept; say 'go on'.",
            code="rounds_used_up",
        )

    async def _ask(self, number: int) -> ModelReply:
        """Ask for one reply of the model, keeping what came of it even when it breaks off."""
        reply = ModelReply()
        try:
            await self._ask_what_fits(reply)
        finally:
            if reply.text:
                self._parts.append({"type": "text", "round": number, "text": reply.text})
        return reply

    async def _ask_what_fits(self, reply: ModelReply) -> None:
        """Ask, and ask again with less where the provider finds it too long."""
        for left in reversed(range(REFUSALS_OF_LENGTH + 1)):
            told = await self._context.messages(self._parts, self._results, self.events)
            try:
                await self._asker.ask(reply, told, self.events)
            except ModelUnavailable as error:
                if error.code != "context_too_long" or not left:
                    raise
                self._context.refused()
            else:
                return

    async def _do(self, call: ToolCall, number: int) -> None:
        """Run one call's code, or tell the model why the call makes no sense."""
        call_id = call.id or f"call_{uuid.uuid4().hex}"
        if (looked := await self._context.look(call)) is not None:
            self._parts.append({"type": "look", "round": number, "call_id": call_id, **looked})
            return
        match read_call(call):
            case Rejected(reason):
                self._failures_in_a_row += 1
                self.events.append(CallRejected(call.name, reason))
                self._parts.append(
                    {
                        "type": "rejected_call",
                        "round": number,
                        "call_id": call_id,
                        "name": call.name,
                        "arguments": call.arguments,
                        "reason": reason,
                    }
                )
            case str(code):
                cell = await self._session.run_cell(code, None, self.events, self.message_id)
                self._failures_in_a_row = 0 if cell.status == "ok" else self._failures_in_a_row + 1
                self._results[cell.cell_id] = await self._context.result(cell)
                self._parts.append(
                    {"type": "cell", "round": number, "call_id": call_id, "cell_id": cell.cell_id, "code": code}
                )

    async def _save(self, status: str, problem: dict[str, Any] | None = None) -> None:
        await self._conversation.save_message(self.message_id, status, list(self._parts), problem)
