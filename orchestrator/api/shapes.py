"""What the API takes and gives, as types: they make the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.config_people import Role
from orchestrator.limits import CODE_BYTES, MESSAGE_BYTES, NAME_CHARS, PATH_BYTES
from orchestrator.sessions.session import LiveSession
from orchestrator.store.records import CellRecord, MessageRecord, SessionRecord, with_its_cells

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00]*$")]
SessionName = Annotated[Text, Field(max_length=NAME_CHARS)]


class Body(BaseModel):
    """A request's body: unknown fields are refused, and nothing is taken for what it is not (a `true` for a 1)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewSession(Body):
    """Body of `POST /v1/sessions`."""

    name: SessionName | None = None
    profile: str | None = Field(default=None, max_length=40)


class Renaming(Body):
    """Body of `PATCH /v1/sessions/{id}`."""

    name: SessionName


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
    model: str | None = Field(default=None, max_length=200)


class SessionShape(BaseModel):
    """A session; `shared_by` names its owner where that is somebody else."""

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


class FileShape(BaseModel):
    """A file of the workspace; times are UTC."""

    path: str
    size: int
    modified_at: datetime
    mime_type: str


class ModelShape(BaseModel):
    """A model; `detail` says why it is not available."""

    id: str
    provider: str
    available: bool
    detail: str | None
    default: bool


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
    record: SessionRecord, live: LiveSession, disk_bytes: int | None, shared_by: str | None = None
) -> dict[str, Any]:
    """Return a session for the wire; `disk_bytes` is None where it was not counted."""
    return SessionShape(
        id=record.id,
        name=record.name,
        profile=record.profile,
        state=live.state,
        queue_place=live.sandbox.seats.place(record.id),
        created_at=record.created_at,
        last_active_at=record.last_active_at,
        limits=live.profile.limits(),
        usage={"disk_bytes": disk_bytes},
        shared_by=shared_by,
    ).model_dump(mode="json")


def cell_shape(cell: CellRecord) -> dict[str, Any]:
    """Return a cell for the wire, its outputs as they are: they were checked on their way in."""
    return {name: getattr(cell, name) for name in CellShape.model_fields}


def message_shape(message: MessageRecord, cells: dict[str, CellRecord]) -> dict[str, Any]:
    """Return a message for the wire, with its cells in it."""
    about = {"id": message.id, "role": message.role, "created_at": message.created_at.isoformat()}
    if message.role == "user":
        return about | {"content": message.content, "attachments": message.attachments}
    named = with_its_cells(message, cells.values())
    parts = [shaped for part in named if (shaped := _part(part, cells)) is not None]
    told = {"model": message.model, "status": message.status, "parts": parts, "problem": message.problem}
    return about | told


def _part(part: dict[str, Any], cells: dict[str, CellRecord]) -> dict[str, Any] | None:
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"]}
        case "cell":
            cell = cells.get(part["cell_id"])
            return None if cell is None else {"type": "cell", **cell_shape(cell)}
        case "look":
            return {name: part[name] for name in ("type", "path", "question", "answer")}
    return {"type": "rejected_call", "name": part["name"], "reason": part["reason"]}
