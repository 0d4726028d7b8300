"""What a model knows at the start of a turn: the sandbox's packages, and what is in the workspace's tables.

Both are found out by code in the sandbox and remembered. A turn never fails for want of them: what is not known in time
is not told.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from orchestrator.chat.tables import TABLE_ENDINGS, Table, parse_packages, parse_tables
from orchestrator.events import EventLog, Notice, SandboxState
from orchestrator.limits import ASIDE_CHARS, ASIDE_S, ASIDE_START_S, TABLE_COLUMNS, TABLES_KEPT, TABLES_TOLD
from orchestrator.sessions.aside import ASIDE_SLACK_S, Aside
from orchestrator.sessions.session import LiveSession
from orchestrator.sessions.variables import Report
from orchestrator.workspace.folder import FoundFile

log = structlog.get_logger()
_Key = tuple[str, FoundFile]  # of a session


@dataclass(frozen=True, slots=True)
class Learned:
    """What was found out."""

    tables: dict[str, Table] = field(default_factory=dict)
    packages: str | None = None


class Watching:
    """Tells those who follow a turn of the sandbox that it started before any cell."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    def starting(self) -> None:
        """Tell that there was none."""
        self._events.append(SandboxState("starting"))

    def queued(self, place: int) -> None:
        """Tell that the host is full."""
        self._events.append(SandboxState("queued", place))

    def woken(self, report: Report) -> None:
        """Tell what became of the variables while the session slept."""
        self._events.append(Notice("woken", report.told()))


class Knowledge:
    """What was found out, for all sessions."""

    def __init__(self) -> None:
        self._tables: OrderedDict[_Key, Table | None] = OrderedDict()
        # By session: what one sandbox says of its image must not be told to anybody else.
        self._packages: OrderedDict[str, str] = OrderedDict()

    def known(self, session: LiveSession, wanted: Sequence[FoundFile]) -> Learned:
        """Return what is known already."""
        found = {file.path: self._tables.get((session.id, file)) for file in wanted}
        tables = {path: table for path, table in found.items() if table is not None}
        return Learned(tables, self._packages.get(session.id))

    def lacks(self, session: LiveSession, wanted: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the tables that were never looked into."""
        return [file for file in wanted if (session.id, file) not in self._tables]

    async def learn(self, session: LiveSession, wanted: Sequence[FoundFile], watching: Watching | None) -> None:
        """Look into tables that are not known; with `watching` a sandbox is started, else one has to be there."""
        if files := self.lacks(session, wanted):
            paths = [file.path for file in files]
            request = {"paths": paths, "columns": TABLE_COLUMNS}
            printed = await session.ask_aside(Aside("glovebox_tables", request, ASIDE_S, ASIDE_CHARS), watching)
            if printed:
                tables = parse_tables(printed, paths)
                for file in files:
                    self._keep((session.id, file), tables.get(file.path))
        if session.id not in self._packages and session.sandbox.running:
            printed = await session.ask_aside(Aside("glovebox_inventory", {}, ASIDE_S, ASIDE_CHARS))
            if printed and (packages := parse_packages(printed)) is not None:
                self._packages[session.id] = packages
                if len(self._packages) > TABLES_KEPT:
                    self._packages.popitem(last=False)

    def _keep(self, key: _Key, table: Table | None) -> None:
        self._tables[key] = table
        if len(self._tables) > TABLES_KEPT:
            self._tables.popitem(last=False)


class Surroundings:
    """What one turn tells of a workspace. It stays the same for the turn, whatever is found out later."""

    def __init__(
        self, knowledge: Knowledge, session: LiveSession, files: Sequence[FoundFile], attached: Sequence[str]
    ) -> None:
        self._knowledge = knowledge
        self._session = session
        self._attached = attached
        self._wanted = tables_wanted(files, attached)
        self._learned: Learned | None = None
        self._task: asyncio.Task[None] | None = None

    async def learned(self, events: EventLog) -> Learned:
        """Return what is known of packages and tables, when it was looked into or the time for that is over."""
        if self._learned is None:
            lacking = self._knowledge.lacks(self._session, self._wanted)
            starts = any(file.path in self._attached for file in lacking)
            if starts or self._session.sandbox.running:
                watching = Watching(events) if starts else None
                # It goes on where it takes too long: the next turn has it.
                self._task = asyncio.create_task(self._learn(watching), name=f"tables of {self._session.id}")
                await asyncio.wait([self._task], timeout=ASIDE_START_S if starts else ASIDE_S + ASIDE_SLACK_S)
            self._learned = self._knowledge.known(self._session, self._wanted)
        return self._learned

    async def _learn(self, watching: Watching | None) -> None:
        try:
            await self._knowledge.learn(self._session, self._wanted, watching)
        except Exception:  # whatever it was, the turn goes on without
            log.exception("nothing learned", session=self._session.id)


def tables_wanted(files: Sequence[FoundFile], attached: Sequence[str]) -> list[FoundFile]:
    """Return the tables that are told: attached ones first, then those that changed last."""
    found = [file for file in files if file.path.lower().endswith(TABLE_ENDINGS) and file.size]
    found.sort(key=lambda file: (file.path not in attached, -file.changed_ns))
    return found[:TABLES_TOLD]
