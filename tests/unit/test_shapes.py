"""Requests' bodies: what fits is taken as it is, and nothing is taken for what it is not."""

from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.api.shapes import ApprovalDecision, Body, NewExecution, NewMessage, NewSession, SessionChange


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        (NewExecution, {"code": "1", "timeout_s": True}),
        (NewExecution, {"code": "1", "timeout_s": "5"}),
        (NewExecution, {"code": "1", "timeout_s": 0}),
        (NewExecution, {"code": "1", "timeout_s": float("nan")}),
        (NewExecution, {"code": "1", "timeout_s": float("inf")}),
        (NewExecution, {"code": 1}),
        (NewExecution, {"code": "1", "timeout": 5}),
        (NewMessage, {"content": "x", "attachments": "a"}),
        (NewMessage, {"content": "x", "attachments": [1]}),
        (NewMessage, {"content": "x", "model": 1}),
        (NewSession, {"name": True}),
        (NewSession, {"owner": "somebody else"}),
        (SessionChange, {"name": ""}),
        (SessionChange, {"name": 1}),
        (SessionChange, {"approval": "never"}),
        (SessionChange, {"instructions": "\x00"}),
        (SessionChange, {"instructions": "x" * 20_001}),
        (SessionChange, {"owner": "me"}),
        (ApprovalDecision, {}),
        (ApprovalDecision, {"decision": "maybe"}),
        (ApprovalDecision, {"decision": "run", "code": " \n"}),
    ],
)
def test_a_body_that_does_not_fit_is_refused(shape: type[Body], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        shape.model_validate(given)


def test_a_body_that_fits_is_taken() -> None:
    assert NewExecution.model_validate({"code": "1", "timeout_s": 5}).timeout_s == 5
    assert NewExecution.model_validate({"code": "", "timeout_s": 0.5}).timeout_s == 0.5
    assert NewMessage.model_validate({"content": " x ", "attachments": ["a"]}).content == "x"
    assert NewSession.model_validate({}).name is None


def test_only_what_is_given_is_changed_and_a_model_can_be_taken_back() -> None:
    assert SessionChange.model_validate({}).changes() == {}
    assert SessionChange.model_validate({"name": "n", "instructions": ""}).changes() == {
        "name": "n",
        "instructions": "",
    }
    assert SessionChange.model_validate({"model": None, "name": None}).changes() == {"model": None}
