"""Rows of what models' replies used: one for each reply, counted by person and day, and by session."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, bindparam, func, select

from orchestrator.store.database import Database
from orchestrator.store.tables import model_usage

_COLUMNS = model_usage.c
_ADD = model_usage.insert()
_SUMS = (
    func.coalesce(func.sum(_COLUMNS.tokens_in), 0),
    func.coalesce(func.sum(_COLUMNS.tokens_out), 0),
    func.sum(_COLUMNS.cost),
)
_OF_PERSON = select(*_SUMS).where(
    and_(_COLUMNS.user_id == bindparam("whose"), _COLUMNS.at >= bindparam("since"), _COLUMNS.own_key.is_(False))
)
_OF_SESSION = select(*_SUMS).where(_COLUMNS.session_id == bindparam("which"))
_LAST = (
    select(_COLUMNS.model, _COLUMNS.tokens_in)
    .where(_COLUMNS.session_id == bindparam("which"))
    .order_by(_COLUMNS.number.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens, and what they cost; None where no price is known of any of them."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """All tokens, told and said."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class ReplyRecord:
    """What one reply used, and whose it was; with a key that its person brought it is nobody else's business."""

    user_id: str
    session_id: str
    model: str
    used: Used
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class SessionUse:
    """What a session used; the last request's model and tokens are None where there was none."""

    used: Used
    last_model: str | None
    last_tokens_in: int | None


class UsageStore:
    """What was used, in the database. Rows outlive the sessions that they speak of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: ReplyRecord) -> None:
        """Add what a reply used."""
        row = {
            "at": datetime.now(UTC).replace(tzinfo=None),
            "user_id": record.user_id,
            "session_id": record.session_id,
            "model": record.model[:200],
            "tokens_in": record.used.tokens_in,
            "tokens_out": record.used.tokens_out,
            "cost": record.used.cost,
            "own_key": record.own_key,
        }
        await self._database.run(_ADD, row)

    async def of_person(self, user_id: str, since: datetime) -> Used:
        """Return what somebody used since then, but for what they used with keys of their own."""
        keys = {"whose": user_id, "since": since.astimezone(UTC).replace(tzinfo=None)}
        row = await self._database.transact(lambda connection: connection.execute(_OF_PERSON, keys).one())
        return Used(*row)

    async def of_session(self, session_id: str) -> SessionUse:
        """Return what a session used, whatever the key."""
        keys = {"which": session_id}
        used, last = await self._database.transact(
            lambda connection: (connection.execute(_OF_SESSION, keys).one(), connection.execute(_LAST, keys).first())
        )
        return SessionUse(Used(*used), *(last if last is not None else (None, None)))
