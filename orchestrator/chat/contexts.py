"""Making the contexts of turns, from what all of them share: summaries, what is known of workspaces, pictures."""

from collections.abc import Mapping, Sequence

import structlog

from orchestrator.chat.answering import Answerer
from orchestrator.chat.context import Context, Learnt, Subject
from orchestrator.chat.knowledge import Knowledge, Surroundings
from orchestrator.chat.looking import Looker
from orchestrator.chat.memory import Memory
from orchestrator.chat.models import Models
from orchestrator.chat.picture_files import PictureFiles
from orchestrator.chat.showing import Pictures
from orchestrator.config import Chat
from orchestrator.errors import GloveboxError
from orchestrator.sessions.session import LiveSession
from orchestrator.store.records import CellRecord, MessageRecord
from orchestrator.store.summaries import SummaryStore
from orchestrator.workspace.folder import FoundFile

log = structlog.get_logger()
_PICTURES_SHARE = 4  # of a window, pictures have at most


class Contexts:
    """Makes contexts."""

    def __init__(self, config: Chat, models: Models, summaries: SummaryStore) -> None:
        self._config = config
        self._models = models
        self._summaries = summaries
        self._knowledge = Knowledge()
        self._pictures = PictureFiles()
        self._learnt: dict[str, Learnt] = {}

    async def make(
        self,
        session: LiveSession,
        model: str,
        branch: Sequence[MessageRecord],
        cells: Sequence[CellRecord],
        results: Mapping[str, str],
        files: Sequence[FoundFile],
        extra: str,
    ) -> Context:
        """Return the context of a turn.

        Args:
            session: whose workspace it is.
            model: that is asked.
            branch: the conversation, with the question as its last message.
            cells: the branch's.
            results: what is told of each cell, by its id.
            files: the workspace's.
            extra: instructions besides Glovebox's own.

        """
        about = self._models.about(model)
        learnt = self._learnt.setdefault(model, Learnt())
        subject = Subject(
            model,
            about,
            session.profile.limits(),
            extra,
            branch,
            results,
            files,
            self._config.tool_result_tokens,
            learnt,
        )
        summariser = await self._aside(session, self._config.summary_model) or self._answerer(session, model)
        memory = Memory(self._summaries, session.id, summariser)
        surroundings = Surroundings(self._knowledge, session, files, branch[-1].attachments)
        if about.vision or model == self._config.vision_model:
            budget = min(self._config.picture_tokens, about.window // _PICTURES_SHARE)
            return Context(subject, memory, surroundings, Pictures(self._pictures, session, cells, budget))
        watcher = await self._aside(session, self._config.vision_model) if about.tools else None
        looker = Looker(watcher, self._pictures, session) if watcher is not None else None
        return Context(subject, memory, surroundings, looker=looker)

    async def _aside(self, session: LiveSession, model: str | None) -> Answerer | None:
        """Return a model of the config that is asked aside, if there is one and it can be asked."""
        if model is None:
            return None
        try:
            return self._answerer(session, await self._models.pick(model, session.owner))
        except GloveboxError as error:
            log.warning("model not asked aside", model=model, reason=error.detail)
            return None

    def _answerer(self, session: LiveSession, model: str) -> Answerer:
        return Answerer(model, self._models, session.owner, session.id)
