"""The fake API's turns: a script is played into an event log that anyone may follow from any point."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from tests.unit.fake_cells import MADE, failing_cell, printed, rich_cell, working_cell

JSON = dict[str, Any]


def now() -> str:
    return datetime.now(UTC).isoformat()


def pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


@dataclass
class Turn:
    """A turn: its event log, and who is to be told when it grows."""

    message: JSON
    events: list[JSON] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def tell(self, kind: str, **fields: Any) -> None:
        async with self.grown:
            self.events.append({"type": kind, **fields})
            self.grown.notify_all()

    async def log(self, start: int) -> AsyncIterator[str]:
        number = start
        while True:
            async with self.grown:
                while len(self.events) <= number:
                    await self.grown.wait()
                waiting = self.events[number:]
            for event in waiting:
                number += 1
                yield f"id: {number}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
            if waiting[-1]["type"] == "turn_finished":
                return


@dataclass
class Session:
    """Everything about a session; its messages are a tree, of which the branch that ends in `head` is shown."""

    about: JSON
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    replaced: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    tree: dict[str, JSON] = field(default_factory=dict)
    head: str | None = None
    turn: Turn | None = None
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    # Calls that wait for approval: what was decided, and with which code.
    waiting: dict[str, asyncio.Future[JSON]] = field(default_factory=dict)

    def add(self, message: JSON, parent: str | None) -> JSON:
        self.tree[message["id"]] = message | {"parent_id": parent}
        self.head = message["id"]
        return self.tree[message["id"]]

    def shown(self) -> list[JSON]:
        branch: list[JSON] = []
        at = self.head
        while at is not None:
            branch.append(self.tree[at] | {"siblings": self.beside(at)})
            at = self.tree[at]["parent_id"]
        return branch[::-1]

    def beside(self, identity: str) -> list[str]:
        one = self.tree[identity]
        return [m["id"] for m in self.tree.values() if (m["parent_id"], m["role"]) == (one["parent_id"], one["role"])]

    def leaf(self, identity: str) -> str:
        while below := [m["id"] for m in self.tree.values() if m["parent_id"] == identity]:
            identity = below[-1]
        return identity

    def drop(self, identity: str) -> None:
        """Delete a question with its answers; what followed hangs on what was before."""
        parent = self.tree[identity]["parent_id"]
        gone = {identity, *(m["id"] for m in self.tree.values() if m["parent_id"] == identity)}
        after = [m for m in self.tree.values() if m["parent_id"] in gone and m["id"] not in gone]
        for message in after:
            message["parent_id"] = parent
        self.tree = {name: m for name, m in self.tree.items() if name not in gone}
        if self.head in gone:
            self.head = self.leaf(parent) if parent else next(iter(self.tree), None)


class Stopped(Exception): ...


SAID = (
    "Done <img src=x onerror=alert(1)> and `List<int>`; a formula: $$a^2 + b^2 = c^2$$ and inline $e^{i\\pi} = -1$.\n\n"
    "See [the chart](sandbox:/mnt/data/chart.png), `by_month.csv` and /mnt/data/näme.txt.\n\n"
    "1. one\n2. two\n   - **nested**\n\n> quoted\n\n```python\nfor x in range(3):\n    print(f'{x} < 3')  # code\n```\n"
)


class Script:
    """Plays a turn."""

    def __init__(self, session: Session, turn: Turn, pace: float) -> None:
        self.session, self.turn, self.pace, self.cells = session, turn, pace, 0

    async def play(self, asked: str) -> None:
        status, problem = "done", None
        try:
            await self._play(asked)
        except Stopped:
            status = "stopped"
        if asked.startswith("fail") and status == "done":
            status = "failed"
            problem = {"title": "The model provider failed", "detail": "The provider answered 401: no valid key.",
                       "status": 502, "code": "provider_failed"}  # fmt: skip
        self.turn.message |= {"status": status, "problem": problem}
        self.session.about["state"] = "ready"
        self.session.turn = None
        await self.turn.tell("turn_finished", status=status, problem=problem)

    async def _play(self, asked: str) -> None:
        about = {"user_message_id": self.turn.message["parent_id"], "message_id": self.turn.message["id"]}
        own = next((asked[len(sign) :] for sign in ("!", "/run ", "/run\n") if asked.startswith(sign)), None)
        await self.turn.tell("turn_started", turn_id="t", model=self.turn.message["model"], **about)
        number = len(self.session.tree)
        if own is not None:
            outputs = [printed("one's own code ran\n")]
            await self.run({**working_cell(number), "code": own, "outputs": outputs, "files": []}, with_code=False)
            return
        if asked.startswith("think"):
            await self.think("The question is about sales. **First** I look at what there is, then at the months. " * 5)
        await self.say("I will look at the **sales** by month.\n\n")
        await self.count()
        if asked.startswith("fail"):
            return
        if asked.startswith("break"):
            await self.turn.tell("reply_restarted", round=1)
            self.turn.message["parts"].clear()
            await self.say("And again, from the beginning.\n\n")
        if asked.startswith("rich"):
            await self.run(rich_cell(number), with_code=True)
            await self.say(SAID)
            return
        if asked.startswith("flood"):
            flood = "".join(f"{number:06} {'#' * (number % 120)}\n" for number in range(4000))
            await self.run({**working_cell(0), "code": "flood()", "outputs": [printed(flood)]}, with_code=False)
            return
        await self.turn.tell("sandbox_state", state="starting")
        await self.rest(8)
        await self.turn.tell("sandbox_state", state="ready")
        await self.run(failing_cell(number), with_code=True)
        await self.say("There is no column `profit`. I will use the revenue instead.\n")
        while asked.startswith("hold"):
            await asyncio.sleep(0.05)
            await self.rest(1)
        if asked.startswith("slow"):
            for step in range(200):
                await self.say(f"{step} ")
                await self.rest(2)
        await self.run(working_cell(number + 100), with_code=True)
        await self.count()
        await self.turn.tell("notice", code="repaired", text="One cell failed and was repaired.")
        self.turn.message["parts"].append(
            {"type": "notice", "code": "repaired", "text": "One cell failed and was repaired."}
        )
        await self.say(
            "Revenue is highest in **March**.\n\n"
            "| month | revenue |\n|---|---:|\n| January | 1 204 |\n| March | 1 310 |\n\n"
            "The table is in [by_month.csv](sandbox:/mnt/data/by_month.csv).\n"
        )

    async def think(self, text: str) -> None:
        self.turn.message["parts"].append(part := {"type": "text", "text": "", "reasoning": ""})
        for piece in pieces(text, 12):
            part["reasoning"] += piece
            await self.turn.tell("reasoning_delta", text=piece)
            await self.rest(1)

    async def count(self) -> None:
        usage = self.session.about["usage"]
        usage |= {
            "tokens_in": (usage.get("tokens_in") or 0) + 4200,
            "tokens_out": (usage.get("tokens_out") or 0) + 310,
            "cost": (usage.get("cost") or 0) + 0.0123,
            "window_tokens": (usage.get("window_tokens") or 0) + 4510,
            "window": 128_000,
        }
        told = {"tokens_in": 4200, "tokens_out": 310, "cost": 0.0123}  # of the reply; the session's is in `about`
        await self.turn.tell("usage", **told, window_tokens=usage["window_tokens"], window=usage["window"])

    async def approved(self, code: str) -> str | None:
        """Ask whether the code may run; return the code that may, or None."""
        call = f"call{len(self.turn.events)}"
        self.session.waiting[call] = asyncio.get_running_loop().create_future()
        await self.turn.tell("approval_asked", call_id=call, code=code)
        while not self.session.waiting[call].done():
            await self.rest(1)
            await asyncio.sleep(0.02)
        decided = self.session.waiting.pop(call).result()
        wanted = str(decided.get("code") or code)
        await self.turn.tell("approval_given", call_id=call, decision=decided["decision"], code=wanted)
        return wanted if decided["decision"] == "run" else None

    async def say(self, text: str) -> None:
        parts = self.turn.message["parts"]
        if not parts or parts[-1]["type"] != "text":
            parts.append({"type": "text", "text": ""})
        for piece in pieces(text, 6):
            parts[-1]["text"] += piece
            await self.turn.tell("text_delta", text=piece)
            await self.rest(1)

    async def run(self, cell: JSON, *, with_code: bool) -> None:
        for piece in pieces(cell["code"], 9) if with_code else ():
            await self.turn.tell("code_delta", call="0", text=piece)
            await self.rest(1)
        if self.session.about["approval"] == "ask" and with_code:
            code = await self.approved(cell["code"])
            if code is None:
                return
            cell = {**cell, "code": code}
        await self.turn.tell("cell_started", cell_id=cell["cell_id"], code=cell["code"])
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                for piece in pieces(output["text"], max(20, len(output["text"]) // 400)):
                    await self.turn.tell("stream", cell_id=cell["cell_id"], name=output["name"], text=piece)
                    await self.rest(2)
            else:
                await self.turn.tell("output", cell_id=cell["cell_id"], output=output)
                await self.rest(4)
        for change in cell["files"]:
            made = MADE.get(PurePosixPath(change["path"]).suffix)
            self.session.files[change["path"]] = (made() if made else b"x" * min(change["size"], 5000), now())
        self.turn.message["parts"].append({"type": "cell", **cell})
        await self.turn.tell("cell_finished", **cell)

    async def rest(self, beats: int) -> None:
        await asyncio.sleep(self.pace * beats)
        if self.turn.stopping.is_set():
            raise Stopped
