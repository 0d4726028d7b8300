"""What may be asked of the spawner, and what it answers. Shared with its client."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from orchestrator.lines.messages import ProfileName, Request, SessionId, Uid


class Create(Request):
    """Start the session's sandbox, or find it running."""

    verb: Literal["create"] = "create"
    session_id: SessionId
    profile: ProfileName
    uid: Uid


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


class Weigh(Request):
    """Give the session's sandbox the least weight where CPU is short, or the usual one again."""

    verb: Literal["weigh"] = "weigh"
    session_id: SessionId
    least: bool


class ListSandboxes(Request):
    """List all sandboxes of this instance."""

    verb: Literal["list"] = "list"


class Check(Request):
    """Tell whether the engine answers and has the images and runtimes of all profiles."""

    verb: Literal["check"] = "check"


AnyRequest = Create | Stop | Inspect | Stats | Weigh | ListSandboxes | Check
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
