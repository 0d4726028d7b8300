"""What the suite of providers is tried in: models of one kind at a fake provider, and what is kept of their use."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from orchestrator.chat.asking import Asker
from orchestrator.chat.completion import ModelReply, Rejected, read_call
from orchestrator.chat.models import Models
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Config
from orchestrator.config_quotas import Quota
from orchestrator.errors import ModelUnavailable
from orchestrator.events import CodeDelta, Event, EventLog, ReasoningDelta, ReplyRestarted, ReplyUsage, TextDelta
from orchestrator.people.keys import OwnKeys
from orchestrator.store.database import Database, migrate
from orchestrator.store.keys import KeyStore
from orchestrator.store.usage import UsageStore
from tests.provider import (
    Act,
    Acting,
    FakeProvider,
    call,
    event,
    says,
    stream,
    words,
)

KINDS = ("openai", "azure", "tool-less")
WITH_TOOLS = pytest.mark.parametrize("kind", KINDS[:2])
KEY = "sk-of-the-team-0123456789"
OWN = "sk-of-ann-9876543210abcd"
CODE = "import pandas as pd\nprint('é 数')"
TOLD: Any = [{"role": "system", "content": "You are."}, {"role": "user", "content": "Go."}]


@dataclass
class World:
    """Models of one kind at the fake provider, and what is kept of their use."""

    kind: str
    provider: FakeProvider
    models: Models
    use: ModelUse
    keys: OwnKeys
    quota: list[Quota]
    waits: list[float] = field(default_factory=list)

    async def asker(self, name: str = "m", owner: str = "ann") -> Asker:
        asker = await self.models.asker(owner, "s1", name)

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        asker._sleep = sleep
        return asker

    async def ask(self, *acts: Acting, name: str = "m", owner: str = "ann", told: Any = TOLD) -> "Answer":
        """Let the provider act, ask for a reply, and return what came of it."""
        self.provider.will(*acts)
        reply, log, problem = ModelReply(), EventLog(), None
        self.waits.clear()
        try:
            await (await self.asker(name, owner)).ask(reply, told, log, round_number=3)
        except ModelUnavailable as error:
            problem = error
        log.close()
        return Answer(reply, [one async for _, one in log.follow()], problem, list(self.waits))

    def runs(self, code: str) -> Act:
        """Answer with one cell, in the way of this kind."""
        if self.kind == "tool-less":
            return says(f"I look.\n```python\n{code}\n```\nIt printed 42.")
        return says("I look.", call(code))


@dataclass
class Answer:
    """A reply, what watchers saw of it, and the error that it ended with."""

    reply: ModelReply
    events: list[Event]
    problem: ModelUnavailable | None
    waits: list[float]

    @property
    def codes(self) -> list[str | Rejected]:
        return [read_call(one) for one in self.reply.calls]

    @property
    def code(self) -> str | None:
        return None if self.problem is None else self.problem.code

    def notices(self) -> list[str]:
        return [one.code for one in self.events if hasattr(one, "code")]

    def shown(self, kind: type[TextDelta] | type[CodeDelta] | type[ReasoningDelta]) -> str:
        """Return the text that a page shows: what came before a restart is dropped."""
        restarts = [at for at, one in enumerate(self.events) if isinstance(one, ReplyRestarted)]
        counted = self.events[restarts[-1] if restarts else 0 :]
        return "".join(one.text for one in counted if isinstance(one, kind))

    def used(self) -> ReplyUsage:
        (found,) = [one for one in self.events if isinstance(one, ReplyUsage)]
        return found


def config_of(kind: str, url: str, **more: Any) -> Config:
    """Return a config of one provider of this kind, with its models `m` and `n`."""
    entry = {"window": 8192, "price": {"input": 2, "output": 10}, "tools": kind != "tool-less"}
    ways = {"kind": "azure", "endpoint": url, "api_version": "2024-10-21", "deployments": {"m": "prod-m"}}
    made = ways if kind == "azure" else {"base_url": f"{url}/v1"}
    provider = {"name": "fake", "api_key_env": "KEY", "own_keys": True, "models": [{"name": "m", **entry}, "n"]}
    return Config.model_validate({"providers": [made | provider | more]})


@cache
def _migrated() -> bytes:
    """Return a database that has its tables: to make them takes longer than a test."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "glovebox.sqlite"
        engine = create_engine(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()
        return file.read_bytes()


async def made_world(kind: str, provider: FakeProvider, folder: Path, **more: Any) -> AsyncIterator[World]:
    file = folder / "glovebox.sqlite"
    file.write_bytes(_migrated())
    database = Database(f"sqlite:///{file}")
    quota = [Quota()]

    async def quota_of(_: str) -> Quota:
        return quota[0]

    config = config_of(kind, provider.url, **more)
    keys = OwnKeys(KeyStore(database), folder / "seal", config.providers)
    use = ModelUse(UsageStore(database), quota_of)
    models = Models(config, folder / "no.sock", keys, use, {"KEY": f"{KEY}\n"})
    yield World(kind, provider, models, use, keys, quota)
    await models.close()
    await database.close()


BROKEN = {
    "cut": stream(*words("Half of")),
    "connection lost": stream(*words("Half of"), breaks=True),
    "malformed chunk": stream(*words("Half of"), b'data: {"choices": [{"delta": {"con\n\n'),
    "chunk that is no object": stream(*words("Half of"), b"data: [1]\n\n"),
    "error in the stream": stream(
        *words("Half of"), event({"error": {"message": "Overloaded.", "code": "overloaded"}})
    ),
}


def reason_of(read: str | Rejected) -> str:
    assert isinstance(read, Rejected)
    return read.reason


async def until(condition: Any) -> None:
    """Wait for something that comes; only a hang fails."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
