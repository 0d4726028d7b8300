"""What the API takes and gives, as types: they make the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.chat.completion import TOOL_NAME
from orchestrator.chat.parts import UNDECIDED
from orchestrator.config_people import Role
from orchestrator.limits import CODE_BYTES, INSTRUCTIONS_CHARS, MESSAGE_BYTES, NAME_CHARS, PATH_BYTES
from orchestrator.sessions.session import LiveSession
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord, with_its_cells

NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=NO_NUL)]
SessionName = Annotated[Text, Field(max_length=NAME_CHARS)]
ModelName = Annotated[str, Field(max_length=200)]
ProfileName = Annotated[str, Field(max_length=40)]
Instructions = Annotated[str, Field(max_length=INSTRUCTIONS_CHARS, pattern=NO_NUL)]


# What a session cost, and what its last request took of the model's window.
_SPENT = ("tokens_in", "tokens_out", "cost", "window_tokens", "window")
# What is shown of a message's parts, by their type.
_SHOWN = {
    "text": ("text", "reasoning"),
    "rejected_call": ("name", "reason", "code"),
    "look": ("path", "question", "answer"),
    "waiting_call": ("call_id", "code"),
    "notice": ("code", "text"),
}


class Body(BaseModel):
    """A request's body: unknown fields are refused, and nothing is taken for what it is not (a `true` for a 1)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewSession(Body):
    """Body of `POST /v1/sessions`."""

    name: SessionName | None = None
    profile: ProfileName | None = None


class SessionChange(Body):
    """Body of `PATCH /v1/sessions/{id}`; what is left out stays as it is. `model` null: the default one again."""

    name: SessionName | None = None
    model: ModelName | None = None
    approval: Literal["auto", "ask"] | None = None
    instructions: Instructions | None = None

    def changes(self) -> dict[str, str | None]:
        """Return what is to be changed."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None or name == "model"}


class NewExecution(Body):
    """Body of `POST /v1/sessions/{id}/executions`."""

    code: str = Field(max_length=CODE_BYTES)
    timeout_s: float | None = Field(default=None, gt=0, le=86_400)


class NewMessage(Body):
    """Body of `POST /v1/sessions/{id}/messages`."""

    content: Annotated[Text, Field(max_length=MESSAGE_BYTES)]
    attachments: list[Annotated[str, StringConstraints(min_length=1, max_length=PATH_BYTES)]] = Field(
        default_factory=list, max_length=1000
    )
    model: ModelName | None = None
    edits: str | None = Field(default=None, max_length=64)


class AnotherAnswer(Body):
    """Body of `POST /v1/sessions/{id}/messages/{message_id}/regenerate`.

    With `resume` the answer goes on where the one that is named broke off.
    """

    model: ModelName | None = None
    resume: bool = False


class ApprovalDecision(Body):
    """Body of `POST /v1/sessions/{id}/approvals/{call_id}`; `code` runs in place of the model's."""

    decision: Literal["run", "refuse"]
    code: Annotated[str, Field(max_length=CODE_BYTES, pattern=r"\S")] | None = None


class SessionShape(BaseModel):
    """A session; `shared_by` names its owner where that is somebody else, and `model` null is the default one."""

    id: str
    name: str
    profile: str
    state: str
    queue_place: int | None
    created_at: datetime
    last_active_at: datetime
    limits: dict[str, Any]
    usage: dict[str, Any]
    shared_by: str | None
    model: str | None
    approval: str
    instructions: str


class ShareShape(BaseModel):
    """Somebody who may read a session."""

    name: str


class CellFile(BaseModel):
    """A file that a cell created or changed."""

    path: str
    size: int
    change: Literal["created", "changed"]


class CellShape(BaseModel):
    """A cell that ran; `outputs` are nbformat v4 outputs."""

    cell_id: str
    code: str
    execution_count: int | None
    status: str
    outputs: list[dict[str, Any]]
    duration_s: float
    truncated: bool
    files: list[CellFile]


_CELL_FIELDS = tuple(CellShape.model_fields)


class FileShape(BaseModel):
    """A file of the workspace; times are UTC."""

    path: str
    size: int
    modified_at: datetime
    mime_type: str


class ModelShape(BaseModel):
    """A model; `detail` says why it is not available, `price` is for a million tokens, null where nobody knows it."""

    id: str
    provider: str
    available: bool
    detail: str | None
    default: bool
    tools: bool
    vision: bool
    window: int
    price: dict[str, float | None] | None


class ProfileShape(BaseModel):
    """A profile and its limits."""

    name: str
    default: bool
    limits: dict[str, Any]


class MeShape(BaseModel):
    """Who asks; `mode` is `one` where there are no accounts. A proxy that logs people in logs them out, too."""

    id: str
    name: str
    role: Role
    mode: Literal["one", "team"]
    can_log_out: bool


def session_shape(
    record: SessionRecord,
    live: LiveSession,
    disk_bytes: int | None,
    shared_by: str | None = None,
    spent: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a session for the wire; what was not counted of `disk_bytes`, tokens and cost is null."""
    return SessionShape(
        id=record.id,
        name=record.name,
        profile=record.profile,
        state=live.state,
        queue_place=live.sandbox.seats.place(record.id),
        created_at=record.created_at,
        last_active_at=record.last_active_at,
        limits=live.profile.limits(),
        usage={"disk_bytes": disk_bytes, **dict.fromkeys(_SPENT), **(spent or {})},
        shared_by=shared_by,
        model=record.model,
        approval=record.approval,
        instructions=record.instructions,
    ).model_dump(mode="json")


def cell_shape(cell: CellRecord) -> dict[str, Any]:
    """Return a cell for the wire, its outputs as they are: they were checked on their way in."""
    return {name: getattr(cell, name) for name in _CELL_FIELDS}


def message_shape(message: MessageRecord, siblings: list[str], cells: dict[str, CellRecord]) -> dict[str, Any]:
    """Return a message for the wire, with its cells in it."""
    about: dict[str, Any] = {"id": message.id, "parent_id": message.parent_id, "siblings": siblings}
    about |= {"role": message.role, "created_at": message.created_at.isoformat()}
    if message.role == "user":
        return about | {"content": message.content, "attachments": message.attachments}
    named = with_its_cells(message, cells.values())
    running = message.status == "running"
    parts = [shaped for part in named if (shaped := _part(part, cells, running=running)) is not None]
    told = {"model": message.model, "status": message.status, "parts": parts, "problem": message.problem}
    return about | told


def _part(part: dict[str, Any], cells: dict[str, CellRecord], *, running: bool) -> dict[str, Any] | None:
    match part["type"]:
        case "cell":
            cell = cells.get(part["cell_id"])
            return None if cell is None else {"type": "cell", **cell_shape(cell)}
        case "waiting_call" if not running:  # the turn ended otherwise
            return {"type": "rejected_call", "name": TOOL_NAME, "reason": UNDECIDED, "code": part["code"]}
        case kind:
            return {"type": kind} | {name: part[name] for name in _SHOWN.get(kind, ()) if name in part}
