"""What may be asked of the disks service, and what it answers. Shared with its client."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from orchestrator.lines.messages import ProfileName, Request, SessionId, Uid


class Open(Request):
    """Mount the session's disk, making it at its first use, or find it mounted."""

    verb: Literal["open"] = "open"
    session_id: SessionId
    profile: ProfileName
    uid: Uid


class Close(Request):
    """Unmount the session's disk; fine when it is not mounted, refused while it is in use."""

    verb: Literal["close"] = "close"
    session_id: SessionId


class Delete(Request):
    """Unmount the session's disk and remove it with all that is on it; fine when there is none."""

    verb: Literal["delete"] = "delete"
    session_id: SessionId


class ListDisks(Request):
    """List all disks of this installation."""

    verb: Literal["list"] = "list"


AnyRequest = Open | Close | Delete | ListDisks
REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(Annotated[AnyRequest, Field(discriminator="verb")])


class Opened(BaseModel):
    """Answer to `open`: whether it was mounted just now or found mounted."""

    new: bool


class Disk(BaseModel):
    """One disk in the answer to `list`."""

    session_id: str
    mounted: bool
