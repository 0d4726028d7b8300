"""What all parts of the config have in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of the config: immutable, and unknown keys are errors. So are numbers that JSON cannot say."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
