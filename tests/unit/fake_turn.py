"""The fake API's turns: a script is played into an event log that anyone may follow from any point."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.unit.fake_cells import failing_cell, printed, rich_cell, working_cell

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
    """Everything about a session."""

    about: JSON
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    messages: list[JSON] = field(default_factory=list)
    replaced: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    turn: Turn | None = None


class Stopped(Exception): ...


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
        if asked.startswith("fail"):
            status = "failed"
            problem = {"title": "The model provider failed", "detail": "The provider answered 401: no valid key.",
                       "status": 502, "code": "provider_failed"}  # fmt: skip
        self.turn.message |= {"status": status, "problem": problem}
        self.session.about["state"] = "ready"
        self.session.turn = None
        await self.turn.tell("turn_finished", status=status, problem=problem)

    async def _play(self, asked: str) -> None:
        await self.turn.tell("turn_started", turn_id="t", user_message_id="u", message_id="a", model="glovebox-demo")
        await self.say("I will look at the **sales** by month.\n\n")
        if asked.startswith("fail"):
            return
        if asked.startswith("rich"):
            await self.run(rich_cell(len(self.session.messages)), with_code=True)
            await self.say("Done <img src=x onerror=alert(1)> and `List<int>`; a formula: $$a^2 + b^2 = c^2$$\n")
            return
        if asked.startswith("flood"):
            flood = "".join(f"{number:06} {'#' * (number % 120)}\n" for number in range(4000))
            await self.run({**working_cell(0), "code": "flood()", "outputs": [printed(flood)]}, with_code=False)
            return
        await self.turn.tell("sandbox_state", state="starting")
        await self.rest(8)
        await self.turn.tell("sandbox_state", state="ready")
        await self.run(failing_cell(len(self.session.messages)), with_code=True)
        await self.say("There is no column `profit`. I will use the revenue instead.\n")
        if asked.startswith("slow"):
            for step in range(200):
                await self.say(f"{step} ")
                await self.rest(2)
        await self.run(working_cell(len(self.session.messages) + 100), with_code=True)
        await self.turn.tell("notice", code="repaired", text="One cell failed and was repaired.")
        await self.say(
            "Revenue is highest in **March**.\n\n"
            "| month | revenue |\n|---|---:|\n| January | 1 204 |\n| March | 1 310 |\n\n"
            "The table is in [by_month.csv](sandbox:/mnt/data/by_month.csv).\n"
        )

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
            self.session.files[change["path"]] = (b"x" * min(change["size"], 5000), now())
        self.turn.message["parts"].append({"type": "cell", **cell})
        await self.turn.tell("cell_finished", **cell)

    async def rest(self, beats: int) -> None:
        await asyncio.sleep(self.pace * beats)
        if self.turn.stopping.is_set():
            raise Stopped
