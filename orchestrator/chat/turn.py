"""One chat turn: the model speaks, its code runs, it reads the result, until it is done."""

import uuid
from collections import deque
from collections.abc import Mapping, Sequence

from orchestrator.chat import parts
from orchestrator.chat.approvals import Approvals
from orchestrator.chat.asking import WAITS, Asker
from orchestrator.chat.completion import ModelReply, Rejected, ToolCall, read_call
from orchestrator.chat.context import Context
from orchestrator.chat.failures import WindowRefused
from orchestrator.chat.repetition import Advice, Failures, error_of
from orchestrator.chat.running import RunningTurn
from orchestrator.config import Chat
from orchestrator.errors import GloveboxError, ModelUnavailable
from orchestrator.events import ApprovalAsked, ApprovalGiven, CallRejected, CellStarted, Looked, Notice
from orchestrator.limits import REFUSALS_OF_LENGTH
from orchestrator.metrics import MODEL_TIMES
from orchestrator.sessions.session import LiveSession
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.records import CellRecord
from orchestrator.tracing import span

_LONGEST_ERROR = 300
_SAID_NOTHING = "The model said nothing. Try again, say it in other words, or pick another model."


class GaveUp(GloveboxError):
    """The turn ended before the model was done, by a limit of the config."""

    code = "repairs_used_up"
    title = "The model did not get there"


class SaidNothing(ModelUnavailable):
    """The model was asked, and its whole answer is nothing."""

    code = "model_said_nothing"


class Turn(RunningTurn):
    """The model's side of one turn."""

    def __init__(
        self,
        message_id: str,
        asker: Asker,
        context: Context,
        session: LiveSession,
        conversation: ConversationStore,
        config: Chat,
        approvals: Approvals | None = None,
        begun: Sequence[parts.Part] = (),
        results: Mapping[str, str] | None = None,
    ) -> None:
        """`begun` are the parts that the answer begins with, and `results` those of their cells."""
        super().__init__(message_id, session, conversation)
        self._parts += begun
        self.approvals = approvals or Approvals(asks=False)
        self._asker = asker
        self._context = context
        self._config = config
        self._results = dict(results or {})
        self._failures = Failures(config.max_repairs)

    async def _work(self) -> None:
        with span("turn", session=self._session.id, model=self._asker.model):
            await self._rounds()

    async def _rounds(self) -> None:
        first = 1 + max((part["round"] for part in self._parts), default=-1)
        for number in range(first, first + self._config.max_rounds):
            with MODEL_TIMES.timed(self._asker.model), span("model call", model=self._asker.model, round=number):
                reply = await self._ask(number)
            if not reply.calls:
                if number == 0 and not reply.text.strip() and not self._told_why():
                    raise SaidNothing(_SAID_NOTHING)
                return
            await self._save()
            if not await self._do_all(reply.calls, number):
                return
        used_up = (
            f"The model used up its {self._config.max_rounds} replies for one turn. What ran is kept; say 'go on'."
        )
        self._notice("rounds_used_up", used_up, number)
        raise GaveUp(used_up, code="rounds_used_up")

    def _told_why(self) -> bool:
        """Whether the person was told how the reply ended."""
        return any(part["type"] == "notice" for part in self._parts)

    async def _ask(self, number: int) -> ModelReply:
        """Ask for one reply of the model, keeping what came of it even when it breaks off."""
        reply = ModelReply()
        before = len(self.events)
        try:
            await self._ask_what_fits(reply, number)
        finally:
            said = parts.text_part(reply, number)
            if said["text"] or "reasoning" in said:
                self._parts.append(said)
            for event in self.events.since(before):
                if isinstance(event, Notice) and event.code != WAITS:  # who reads it later need not know
                    self._parts.append({"type": "notice", "round": number, "code": event.code, "text": event.text})
        return reply

    async def _ask_what_fits(self, reply: ModelReply, number: int) -> None:
        """Ask, and ask again with less where the provider finds it too long."""
        for left in reversed(range(REFUSALS_OF_LENGTH + 1)):
            told = await self._context.messages(*parts.told(self._parts, self._results), self.events)
            try:
                await self._asker.ask(reply, told, self.events, round_number=number)
            except WindowRefused:
                if not left:
                    raise
                self._context.refused()
            else:
                return

    async def _do_all(self, calls: list[ToolCall], number: int) -> bool:
        """Run a reply's calls in order, and tell whether the model is to speak again. Whatever is left is said so."""
        left = deque((call.id or f"call_{uuid.uuid4().hex}", call) for call in calls)
        begun = len(self.events)
        try:
            while left:
                advice = await self._do(*left[0], number)
                left.popleft()
                begun = len(self.events)
                await self._save()
                if self._stopping or not self._goes_on(advice, number):
                    return False
        finally:
            if left and not self._is_let_go:
                cut_off = any(isinstance(event, CellStarted) for event in self.events.since(begun))
                self._leave(left, number, cut_off=cut_off)
        return True

    def _leave(self, left: deque[tuple[str, ToolCall]], number: int, *, cut_off: bool) -> None:
        """Keep the calls that did not run, and why; of the first one a waiting part may be there, or its cell begun."""
        self._parts = [part for part in self._parts if part["type"] != "waiting_call"]
        reason = parts.STOPPED if self._stopping else parts.ENDED
        for call_id, call in left:
            code = read_call(call)
            if isinstance(code, str):
                self._parts.append(parts.not_run(call_id, number, code, parts.CUT_OFF if cut_off else reason))
            cut_off = False

    async def _do(self, call_id: str, call: ToolCall, number: int) -> Advice:
        """Run one call's code, or tell the model why it is not run."""
        if (looked := await self._context.look(call)) is not None:
            self._parts.append(parts.look(call_id, number, looked))
            self.events.append(Looked(**looked))
            return Advice.GO_ON
        match read_call(call):
            case Rejected(reason):
                self.events.append(CallRejected(call.name, reason))
                self._parts.append(parts.rejected(call_id, number, call.name, call.arguments, reason))
                return self._failed(reason, call.arguments, number)
            case str(code):
                chosen = await self._approved(call_id, code, number) if self.approvals.asks else code
                if chosen is None:
                    self._parts.append(parts.not_run(call_id, number, code, parts.REFUSED))
                    return Advice.GO_ON
                cell, notes = await self._run_cell(chosen, number)
                return await self._keep(cell, call_id, number, notes if chosen == code else [*notes, parts.EDITED])

    async def _approved(self, call_id: str, code: str, number: int) -> str | None:
        """Wait until a person has decided about a call, and return the code that is to run, or None."""
        name = self.approvals.begin()
        waiting = {"type": "waiting_call", "round": number, "call_id": name, "code": code, "of": call_id}
        self._parts.append(waiting)
        await self._save()
        self.events.append(ApprovalAsked(name, code))
        decision = await self.approvals.decision(name)
        self._parts.remove(waiting)
        chosen = decision.code if decision.run and decision.code else code
        self.events.append(ApprovalGiven(name, "run" if decision.run else "refuse", chosen))
        return chosen if decision.run else None

    async def _keep(self, cell: CellRecord, call_id: str, number: int, notes: list[str]) -> Advice:
        """Keep a cell that ran, as the model will read it."""
        part = parts.cell_part(cell, call_id, number, notes)
        self._parts.append(part)
        advice = Advice.GO_ON
        if cell.status == "ok":
            self._failures.worked()
        elif cell.status != "interrupted":  # that says nothing about the code
            advice = self._failed(error_of(cell), cell.code, number)
        if not self._stopping:  # else nobody asks the model again
            self._results[cell.cell_id] = await self._context.result(cell)
        return advice

    def _failed(self, error: str, code: str, number: int) -> Advice:
        """Note a failure of the part that was kept last; the third of a kind makes the model try another way."""
        advice = self._failures.failed(error, code)
        if advice is Advice.ANOTHER_WAY:
            part = self._parts[-1]
            if part["type"] == "cell":
                part["notes"] = [*part.get("notes", ()), parts.ANOTHER_WAY]
            else:
                part["reason"] = f"{part['reason']} {parts.ANOTHER_WAY}"
            self._notice("another_way", "The same failed three times; the model was told to try another way.", number)
        return advice

    def _goes_on(self, advice: Advice, number: int) -> bool:
        """Tell whether the model is to go on after that; where it is not, say why.

        Raises:
            GaveUp: too many failures in a row.

        """
        if advice is Advice.ASK:
            times, error = self._failures.alike, self._failures.error[:_LONGEST_ERROR]
            self._notice(
                "same_error",
                f"The same failed {times} times in a row, though another way was asked for: {error}. "
                "What ran is kept. How should it go on?",
                number,
            )
        elif advice is Advice.GIVE_UP:
            gave_up = (
                f"{self._failures.in_a_row} cells in a row failed, which is the limit for one turn. "
                "What ran is kept; say how to go on."
            )
            self._notice("repairs_used_up", gave_up, number)
            raise GaveUp(gave_up)
        return advice not in (Advice.ASK, Advice.GIVE_UP)
