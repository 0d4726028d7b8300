"""A provider over real HTTP that counts tokens in its own way, refuses what is over its window, and plays its parts.

It answers a question with a call, a result with words. Asked for a summary, it keeps the facts that it was told, as a
good model does, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.chat.models import Models
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Config
from orchestrator.config_quotas import Quota
from orchestrator.people.keys import OwnKeys
from orchestrator.store.database import Database
from orchestrator.store.keys import KeyStore
from orchestrator.store.usage import UsageStore
from tests.stack import free_port

JSON = dict[str, Any]
SUMMARY = "You keep the memory of a long conversation"
LOOK = "You look at a picture for somebody who cannot see it"
_PIECE = re.compile(r" ?[A-Za-z]{1,8}|\d{1,3}|\s+|[^\sA-Za-z\d]{1,2}")
_FACT = re.compile(r"FACT\d+: [^.\n]*\.")


def text_of(message: JSON) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


@lru_cache(maxsize=10_000)
def pieces(text: str) -> int:
    return len(_PIECE.findall(text))


def count(request: JSON) -> int:
    """Count a request in a way of its own: not the one that is tested, and not its estimate."""
    found = 3 + sum(pieces(json.dumps(tool)) for tool in request.get("tools") or ())
    for message in request["messages"]:
        found += 4 + pieces(text_of(message))
        for call in message.get("tool_calls") or ():
            found += 6 + pieces(call["function"]["name"] + call["function"]["arguments"])
        parts = message["content"] if isinstance(message.get("content"), list) else []
        found += sum(765 for part in parts if part["type"] == "image_url")
    return found


@dataclass
class Provider:
    """What it was asked, and how it answers; `answer` may be replaced by a test."""

    window: int = 16_000
    port: int = field(default_factory=free_port)
    requests: list[JSON] = field(default_factory=list)
    summaries: list[JSON] = field(default_factory=list)
    looks: list[JSON] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    refused: int = 0
    summary_fails: bool = False
    answer: Callable[[JSON], JSON] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def config(self, *models: str, **chat: Any) -> Config:
        provider = {"name": "played", "base_url": self.url, "models": models or ("m",)}
        return Config.model_validate(
            {"providers": [provider], "chat": {"default_model": (models or ("m",))[0], **chat}}
        )

    def respond(self, request: JSON) -> Response:
        size = count(request)
        self.counts.append(size)
        if size > self.window:
            self.refused += 1
            told = f"This model's maximum context length is {self.window} tokens; you sent {size}."
            error = {"message": told, "type": "invalid_request_error", "code": "context_length_exceeded"}
            return JSONResponse({"error": error}, status_code=400)
        system = text_of(request["messages"][0])
        if system.startswith(SUMMARY):
            self.summaries.append(request)
            if self.summary_fails:
                return JSONResponse({"error": {"message": "out of order"}}, status_code=500)
            facts = dict.fromkeys(_FACT.findall(text_of(request["messages"][1])))
            return _stream({"content": "Known: " + " ".join(facts)})
        if system.startswith(LOOK):
            self.looks.append(request)
            return _stream({"content": "A bar chart.\n[files]\nIts highest bar is 42."})
        self.requests.append(request)
        return _stream((self.answer or work)(request))


def work(request: JSON) -> JSON:
    """Answer as a model that computes something for each question."""
    last = request["messages"][-1]
    if last["role"] == "tool" or "do step" not in text_of(last):
        return {"content": f"The step is done; its result is {len(text_of(last))} characters long. " * 3}
    return call(f"step({json.dumps(text_of(last)[:60])})\n" + "x = x + 1  # and so on\n" * 5)


def call(code: str) -> JSON:
    function = {"name": "run_python", "arguments": json.dumps({"code": code})}
    return {"content": None, "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


def _stream(delta: JSON) -> Response:
    def events() -> Iterator[bytes]:
        about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        for choice in ({"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None},
                       {"index": 0, "delta": {}, "finish_reason": "stop"}):  # fmt: skip
            yield b"data: " + json.dumps({**about, "choices": [choice]}).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    return Response(b"".join(events()), media_type="text/event-stream")


def app_of(provider: Provider) -> ASGIApp:
    async def completions(scope: Scope, receive: Receive, send: Send) -> None:
        request = await Request(scope, receive).body()
        await provider.respond(json.loads(request))(scope, receive, send)

    return completions


@asynccontextmanager
async def played(provider: Provider) -> AsyncIterator[Provider]:
    """Serve it while the block runs."""
    settings = uvicorn.Config(app_of(provider), port=provider.port, log_level="error", lifespan="off", access_log=False)
    server = uvicorn.Server(settings)
    task = asyncio.create_task(server._serve(None))
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.005)
    try:
        yield provider
    finally:
        server.should_exit = server.force_exit = True
        with suppress(asyncio.CancelledError):
            await task


def models_of(config: Config, database: Database, folder: Path, demo: Path | None = None) -> Models:
    async def quota_of(_: str) -> Quota:
        return Quota()

    keys = OwnKeys(KeyStore(database), folder / "seal", config.providers)
    return Models(config, demo or folder / "no.sock", keys, ModelUse(UsageStore(database), quota_of))
