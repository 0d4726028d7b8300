"""The door by which a cell of a notebook is run again where it is; who goes from cell to cell is the browser."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ui.api_client import ApiError
from ui.doors import INERT_ANSWER, problem_response
from ui.logins import Logins
from ui.nudges import Nudges


def rerunning(logins: Logins, nudges: Nudges) -> APIRouter:
    """Make the route."""
    router = APIRouter()

    @router.post("/rerun/{session}/{cell}", response_model=None)
    async def run(session: str, cell: str, request: Request) -> Response:
        try:
            came_to = await logins.api_for(request.headers).run_in_place(session, cell)
        except ApiError as error:
            return problem_response(error, INERT_ANSWER)
        finally:
            nudges.nudge(session)
        errors = (str(each.get("ename")) for each in came_to["outputs"] if each.get("output_type") == "error")
        told = {"status": came_to["status"], "error": next(errors, came_to["status"])}
        return JSONResponse(told, headers=INERT_ANSWER)

    return router
