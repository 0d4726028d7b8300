"""A refusal does not wait for the rest of a large body: it is said, and soon after that the connection is closed."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from orchestrator.api import early_answer
from orchestrator.api.early_answer import EarlyAnswer
from orchestrator.limits import BODY_LEFT_BYTES

LARGE = {"content-length": str(BODY_LEFT_BYTES + 1)}


async def _asked(headers: dict[str, str], status: int, chunks: int | None, *, reads: bool = False) -> list[Message]:
    """Send a body of so many chunks, or one without an end, to an app that answers so; return what it sent."""
    left = chunks
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(0)
        left = None if left is None else left - 1
        return {"type": "http.request", "body": b"x", "more_body": left is None or left > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while reads and (await receive())["more_body"]:
            pass
        await PlainTextResponse("no", status)(scope, receive, send)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": "PUT", "path": "/", "headers": raw}
    async with asyncio.timeout(30):
        await EarlyAnswer(app)(scope, receive, send)
    return sent


def _closes(sent: list[Message]) -> bool:
    return (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("headers", [LARGE, {"transfer-encoding": "chunked"}])
async def test_a_refusal_is_said_whole_before_the_rest_is_taken(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(early_answer, "BODY_LEFT_S", 0.05)
    start, body, end = await _asked(headers, 507, None)
    assert (start["status"], body["body"], body["more_body"]) == (507, b"no", True)
    assert _closes([start])
    assert end == {"type": "http.response.body", "body": b""}


async def test_a_body_that_comes_to_its_end_ends_the_wait() -> None:
    sent = await _asked(LARGE, 507, 100)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body", "http.response.body"]


@pytest.mark.parametrize(
    ("headers", "status", "reads"),
    [(LARGE, 201, False), (LARGE, 422, True), ({"content-length": "10"}, 422, False), ({}, 404, False)],
)
async def test_nothing_else_is_changed(headers: dict[str, str], status: int, reads: bool) -> None:
    sent = await _asked(headers, status, 3, reads=reads)
    assert not _closes(sent)
    assert len(sent) == 2
