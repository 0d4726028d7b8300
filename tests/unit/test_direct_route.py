"""A plain request takes the short way; every other one FastAPI's, and none is taken otherwise than that would."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Path, Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from orchestrator.api import problems
from orchestrator.api.direct_route import DirectRoute
from orchestrator.api.shapes import NewExecution
from orchestrator.errors import SessionNotFound


async def _owned(request: Request, session_id: Annotated[str, Path(max_length=8)]) -> str:
    if session_id == "other":
        raise SessionNotFound(session_id)
    return f"{session_id} of {request.headers['x-user']}"


async def run(owned: Annotated[str, Depends(_owned)], request: Request, body: NewExecution) -> Any:
    return JSONResponse([owned, request.method, body.code, body.timeout_s])


def client_of(route_class: type[Any]) -> TestClient:
    app, router = problems.Api(), APIRouter(prefix="/{session_id}", route_class=route_class)
    problems.install(app)
    router.post("/run")(run)
    app.take(router)
    return TestClient(app, headers={"x-user": "ann"})


@pytest.fixture(scope="module")
def direct() -> Iterator[TestClient]:
    yield client_of(DirectRoute)


@pytest.fixture(scope="module")
def general() -> Iterator[TestClient]:
    yield client_of(APIRoute)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("POST", "/s/run", b'{"code": "1"}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": 2}', "application/json"),
        ("POST", "/s/run", b'{"code": "1"}', "application/json; charset=utf-8"),
        ("POST", "/s/run", b'{"code": "1"}', "text/plain"),
        ("POST", "/s/run", b'{"code": "1"}', ""),
        ("POST", "/s/run", b'{"code": "\\ud800"}', "application/json"),
        ("POST", "/s/run", b'{"code": "\xff"}', "application/json"),
        ("POST", "/s/run", '{"code": "\u00e9"}'.encode("utf-16"), "application/json"),
        ("POST", "/s/run", b'{"code": 1}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": "2"}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": true}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": NaN}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": Infinity}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "timeout_s": 1e400}', "application/json"),
        ("POST", "/s/run", b'{"code": "1", "more": 1}', "application/json"),
        ("POST", "/s/run", b'{"code": "1"', "application/json"),
        ("POST", "/s/run", b"[]", "application/json"),
        ("POST", "/s/run", b"", "application/json"),
        ("POST", "/s/run", b"[" * 100_000, "application/json"),
        ("POST", "/much-too-long/run", b'{"code": "1"}', "application/json"),
        ("POST", "/other/run", b'{"code": "1"}', "application/json"),
        ("GET", "/s/run", b"", ""),
        ("PUT", "/s/run", b'{"code": "1"}', "application/json"),
    ],
)
def test_both_ways_give_the_same_answer(
    direct: TestClient, general: TestClient, method: str, path: str, body: bytes, kind: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    told = [each.request(method, path, content=body, headers=headers) for each in (direct, general)]
    assert told[0].status_code == told[1].status_code
    assert told[0].json() == told[1].json()


def test_a_body_that_comes_in_pieces_is_read_whole(direct: TestClient) -> None:
    pieces = iter([b'{"code"', b': "1"}'])
    answer = direct.post("/s/run", content=pieces, headers={"content-type": "application/json"})
    assert answer.json() == ["s of ann", "POST", "1", None]


def test_a_plain_request_does_not_take_the_general_way(direct: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing.solve_dependencies", None)
    answer = direct.post("/s/run", content=json.dumps({"code": "1"}), headers={"content-type": "application/json"})
    assert answer.json() == ["s of ann", "POST", "1", None]


def test_an_endpoint_that_needs_more_is_refused_at_start() -> None:
    async def more(body: NewExecution, where: str) -> Any: ...

    with pytest.raises(TypeError, match="more than a direct route reads"):
        DirectRoute("/", more, methods=["POST"])
