"""Errors as RFC 9457 problem documents, with codes that stay."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from orchestrator.errors import BadRequest, GloveboxError

log = structlog.get_logger()
_CODES = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}


class Problem(BaseModel):
    """An RFC 9457 problem document; `code` is stable, `detail` is for the person."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem_response(problem: dict[str, object], headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem document as a response."""
    status = int(str(problem["status"]))
    return JSONResponse(problem, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Have every error of the app answered as a problem document."""

    @app.exception_handler(GloveboxError)
    async def _ours(_: Request, error: GloveboxError) -> JSONResponse:
        return problem_response(error.as_problem())

    @app.exception_handler(RequestValidationError)
    async def _wrong_shape(_: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:10]]
        return problem_response(BadRequest("; ".join(told)).as_problem())

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        title = HTTPStatus(error.status_code).phrase
        code = _CODES.get(error.status_code, title.lower().replace(" ", "_"))
        problem: dict[str, object] = {
            "type": f"urn:glovebox:problem:{code}",
            "title": title,
            "status": error.status_code,
            "detail": str(error.detail),
            "code": code,
        }
        return problem_response(problem, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        return problem_response(GloveboxError("The log of the orchestrator says what.").as_problem())
