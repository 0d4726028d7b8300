"""What all requests and answers have in common. Shared by both sides."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

FIRST_UID = 200_000
LAST_UID = 2_000_000_000
SessionId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Uid = Annotated[int, Field(ge=FIRST_UID, le=LAST_UID)]
ProfileName = Annotated[str, Field(max_length=40)]


class Request(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Refusal(BaseModel):
    """It was not done: a stable code and a sentence for the person."""

    code: str
    detail: str


class Answer(BaseModel):
    """One line of answer: either `done` or `refused`."""

    done: Any = None
    refused: Refusal | None = None


class Refused(Exception):
    """It cannot be done; carries what to tell the person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(code=code, detail=detail)
