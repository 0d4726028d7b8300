"""Errors as RFC 9457 problem documents, with codes that stay."""

from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from orchestrator.api.refusals import note_refusal
from orchestrator.api.request_log import RequestLog
from orchestrator.errors import BadRequest, GloveboxError, TooManyRequests
from orchestrator.people.service import Caller
from orchestrator.store.audit import ANONYMOUS

log = structlog.get_logger()
_CODES = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}


class Problem(BaseModel):
    """An RFC 9457 problem document; `code` is stable, `detail` is for the person."""

    type: str
    title: str
    status: int
    detail: str
    code: str


Responses = dict[int | str, dict[str, Any]]


def _told(about: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": about, "content": content}


# What routes answer beside what they are for, as the OpenAPI document tells it.
REFUSED: Responses = {
    "4XX": _told("the request is refused"),
    503: _told("the database cannot be used right now"),
}
NO_SANDBOX: Responses = {503: _told("no sandbox can be started or reached right now, or the database cannot be used")}
NO_MODEL: Responses = {502: _told("the model cannot be asked")}
NO_PROVIDER: Responses = {502: _told("the provider of single sign-on cannot be asked")}
NO_ROOM: Responses = {507: _told("the session's disk is full")}


class Api(FastAPI):
    """The app, whose OpenAPI document knows of problems."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return everything that a request passes, within what notes it: not even an unexpected error goes unseen."""
        return RequestLog(super().build_middleware_stack())

    def take(self, router: APIRouter) -> None:
        """Serve a router's routes as they are: one that is included is looked up twice for each request."""
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.responses = {**self.router.responses, **route.responses}
        self.router.routes.extend(router.routes)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document


def problem_response(
    request: Request, problem: dict[str, object], headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document as a response, and note it."""
    caller: Caller | None = getattr(request.state, "caller", None)
    note_refusal(request.scope, ANONYMOUS if caller is None else caller.person.id, problem)
    status = int(str(problem["status"]))
    return JSONResponse(problem, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Have every error of the app answered as a problem document."""

    @app.exception_handler(GloveboxError)
    async def _ours(request: Request, error: GloveboxError) -> JSONResponse:
        headers = {"Retry-After": str(ceil(error.retry_after_s))} if isinstance(error, TooManyRequests) else None
        return problem_response(request, error.as_problem(), headers)

    @app.exception_handler(RequestValidationError)
    async def _wrong_shape(request: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:10]]
        return problem_response(request, BadRequest("; ".join(told)).as_problem())

    @app.exception_handler(ClientDisconnect)
    async def _gone(request: Request, _: ClientDisconnect) -> JSONResponse:
        # Nobody hears it. It is no failure of ours either, which a log would be full of.
        return problem_response(request, BadRequest("The request broke off.", code="client_gone").as_problem())

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        title = HTTPStatus(error.status_code).phrase
        code = _CODES.get(error.status_code, title.lower().replace(" ", "_"))
        problem: dict[str, object] = {
            "type": f"urn:glovebox:problem:{code}",
            "title": title,
            "status": error.status_code,
            "detail": str(error.detail),
            "code": code,
        }
        return problem_response(request, problem, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc_info=error)
        return problem_response(request, GloveboxError("The log of the orchestrator says what.").as_problem())
