"""The demo model's HTTP side: Chat Completions and the list of models, as OpenAI's SDK expects them."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from orchestrator.demo_model import wire
from orchestrator.demo_model.conversation import read_turn
from orchestrator.demo_model.hooks import misbehave
from orchestrator.demo_model.reply import TOOL, Refusal, Reply
from orchestrator.demo_model.scenarios import answer
from orchestrator.limits import DEMO_PACE_S

MODEL_ID = "glovebox-demo"


class StreamOptions(BaseModel):
    """What a stream shall carry besides the answer."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields of a Chat Completions request that a script can heed; all others are accepted and ignored."""

    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def may_call(self) -> bool:
        """Whether this request allows calls of the one tool that the scripts know."""
        offered = (tool.get("function", {}).get("name") for tool in self.tools or ())
        return self.tool_choice != "none" and TOOL in offered

    @property
    def wants_usage(self) -> bool:
        """Whether the stream shall end with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


def demo_app(pace_s: float = DEMO_PACE_S) -> FastAPI:
    """Make the demo model's server.

    Args:
        pace_s: seconds between two pieces of a streamed answer.
    """
    app = FastAPI(title="Glovebox demo model", openapi_url=None)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat_completions(request: ChatRequest) -> Response:
        if request.model != MODEL_ID:
            return _error(_no_such_model(request.model), "model")
        turn = read_turn(request.messages, may_call=request.may_call)
        reply = misbehave(turn) or answer(turn)
        if isinstance(reply, Refusal):
            return _error(reply)
        if not request.stream and reply.ending == "error":
            return _error(wire.STREAM_ERROR)
        return _respond(request, reply, pace_s)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model()]}

    @app.get("/v1/models/{model_id:path}", response_model=None)
    async def model(model_id: str) -> Response:
        return JSONResponse(_model()) if model_id == MODEL_ID else _error(_no_such_model(model_id), "model")

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, failure: RequestValidationError) -> Response:
        first = failure.errors()[0]
        where = ".".join(str(step) for step in first["loc"][1:])
        return _error(Refusal(400, f"{where or 'body'}: {first['msg']}", "invalid_request_error"), where or None)

    @app.exception_handler(HTTPException)
    async def no_such_call(request: Request, failure: HTTPException) -> Response:
        told = f"{failure.detail} ({request.method} {request.url.path})"
        return _error(Refusal(failure.status_code, told, "invalid_request_error"))

    return app


def _respond(request: ChatRequest, reply: Reply, pace_s: float) -> Response:
    call_ids = tuple(f"call_{uuid.uuid4().hex[:24]}" for _ in reply.calls)
    heading = wire.Heading(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), MODEL_ID, call_ids)
    tokens = wire.usage(request.messages, reply)
    if not request.stream:
        return JSONResponse(wire.completion(heading, reply, tokens))
    chunks = wire.chunks(heading, reply, tokens if request.wants_usage else None)
    pace = pace_s if reply.pace_s is None else reply.pace_s
    return StreamingResponse(
        _events(chunks, pace, done=reply.ending == "whole"),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )


async def _events(chunks: Iterable[dict[str, Any]], pace_s: float, *, done: bool) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield _event(json.dumps(chunk, ensure_ascii=False, separators=(",", ":")))
        await asyncio.sleep(pace_s)
    if done:
        yield _event("[DONE]")


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def _error(refusal: Refusal, param: str | None = None) -> Response:
    return JSONResponse(wire.error_body(refusal, param), status_code=refusal.status)


def _no_such_model(name: str) -> Refusal:
    told = f"The model '{name}' does not exist; the built-in demo has only '{MODEL_ID}'."
    return Refusal(404, told, "invalid_request_error", "model_not_found")


def _model() -> dict[str, Any]:
    # The time is that of the first script; a client only needs it to be a number.
    return {"id": MODEL_ID, "object": "model", "created": 1767225600, "owned_by": "glovebox"}
