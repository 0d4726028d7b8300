"""What may be asked of the spawner, and what it answers. Shared with its client."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

SessionId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
FIRST_UID = 200_000
LAST_UID = 2_000_000_000


class Request(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Create(Request):
    """Start the session's sandbox, or find it running."""

    verb: Literal["create"] = "create"
    session_id: SessionId
    profile: Annotated[str, Field(max_length=40)]
    uid: Annotated[int, Field(ge=FIRST_UID, le=LAST_UID)]


class Stop(Request):
    """Kill the session's sandbox and remove its container; fine when there is none."""

    verb: Literal["stop"] = "stop"
    session_id: SessionId


class Inspect(Request):
    """Tell whether the session's sandbox runs, and how often it ran out of memory."""

    verb: Literal["inspect"] = "inspect"
    session_id: SessionId


class Stats(Request):
    """Tell what the session's sandbox uses right now."""

    verb: Literal["stats"] = "stats"
    session_id: SessionId


class ListSandboxes(Request):
    """List all sandboxes of this instance."""

    verb: Literal["list"] = "list"


class Check(Request):
    """Tell whether the engine answers and has the images and runtimes of all profiles."""

    verb: Literal["check"] = "check"


AnyRequest = Create | Stop | Inspect | Stats | ListSandboxes | Check
REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(Annotated[AnyRequest, Field(discriminator="verb")])


class Created(BaseModel):
    """Answer to `create`: whether the container is new or was found running."""

    new: bool


class Inspected(BaseModel):
    """Answer to `inspect`."""

    running: bool
    oom_kills: int
    exit_code: int | None


class Used(BaseModel):
    """Answer to `stats`: bytes of memory, nanoseconds of CPU since the start, tasks."""

    memory_bytes: int
    cpu_ns: int
    pids: int


class Sandbox(BaseModel):
    """One sandbox in the answer to `list`."""

    session_id: str
    profile: str
    running: bool


class Checked(BaseModel):
    """Answer to `check`: the engine's version and what is missing, in words for the operator."""

    engine: str
    missing: list[str]


class Refusal(BaseModel):
    """The spawner did not do it: a stable code and a sentence for the person."""

    code: str
    detail: str


class Answer(BaseModel):
    """One line of answer: either `done` or `refused`."""

    done: Any = None
    refused: Refusal | None = None
