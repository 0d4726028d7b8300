"""Each request is one line of log, one count and an id; what it was about is in none of them."""

import re
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

from orchestrator.api import problems
from orchestrator.api.guard import Guard
from orchestrator.api.identity import OnePerson
from orchestrator.api.request_log import REQUEST_ID
from orchestrator.errors import SessionNotFound
from orchestrator.metrics import HTTP_REQUESTS, HTTP_TIMES

ROUTE = "/v1/sessions/{session_id}/files/{path}"
SECRETS = {"Authorization": "Bearer hunter2"}
router = APIRouter(prefix="/v1/sessions/{session_id}")
health = APIRouter()


@health.get("/healthz")
async def healthz() -> None:
    """Be well."""


@router.put("/files/{path}")
async def put(request: Request) -> dict[str, Any]:
    bind_contextvars(session="s1")
    return {"seen": len(await request.body())} | get_contextvars()


@router.get("/files/{path}")
async def get(path: str) -> None:
    raise SessionNotFound(path)


@router.delete("/files/{path}")
async def delete() -> None:
    raise ValueError("the secret of the error")


@router.websocket("/channels")
async def channels(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    app = problems.Api()
    problems.install(app)
    app.include_router(router)
    app.include_router(health)
    app.add_middleware(Guard, door=OnePerson(None))
    return TestClient(app, "http://localhost", raise_server_exceptions=False)


def test_a_request_is_told_by_its_route_and_by_nothing_that_it_holds(client: TestClient) -> None:
    before, (timed, _) = HTTP_REQUESTS.read(ROUTE, "PUT", "200"), HTTP_TIMES.read(ROUTE)
    with capture_logs() as logs:
        answer = client.put(
            "/v1/sessions/abc/files/diary.txt?token=letmein",
            content="dear",
            headers=SECRETS,
        )
    assert answer.status_code == 200
    (line,) = logs
    assert line.pop("duration_ms") >= 0
    assert line == {"event": "request", "log_level": "info", "method": "PUT", "route": ROUTE, "status": 200}
    assert HTTP_REQUESTS.read(ROUTE, "PUT", "200") - before == 1 == HTTP_TIMES.read(ROUTE)[0] - timed


def test_every_line_on_the_way_bears_request_user_and_session(client: TestClient) -> None:
    answer = client.put("/v1/sessions/abc/files/x")
    assert answer.json() == {"seen": 0, "request_id": answer.headers[REQUEST_ID], "user": "local", "session": "s1"}
    assert get_contextvars() == {}


def test_a_sane_id_that_was_sent_is_taken_over(client: TestClient) -> None:
    assert client.get("/healthz", headers={REQUEST_ID: "page-42.a_b"}).headers[REQUEST_ID] == "page-42.a_b"


@pytest.mark.parametrize("sent", ["", "short", "x" * 65, 'with"quotes"', "with space", "-leading-dash", "ünïcödé-id"])
def test_any_other_id_is_replaced(client: TestClient, sent: str) -> None:
    answered = client.get("/healthz", headers={REQUEST_ID: sent.encode()}).headers[REQUEST_ID]
    assert re.fullmatch("[0-9a-f]{32}", answered)


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/sessions/abc/files/gone", ROUTE, 404),
        ("DELETE", "/v1/sessions/abc/files/x", ROUTE, 500),
        ("GET", "/secret/../path", "(none)", 404),
        ("POST", "/healthz", "(none)", 405),
    ],
)
def test_a_request_that_fails_is_told_with_its_status(
    client: TestClient, method: str, path: str, route: str, status: int
) -> None:
    with capture_logs() as logs:
        answer = client.request(method, path)
    told = [line for line in logs if line["event"] == "request"]
    assert (answer.status_code, answer.headers[REQUEST_ID] != "") == (status, True)
    assert [(line["method"], line["status"]) for line in told] == [(method, status)]
    assert told[0]["route"] in (route, "/healthz")  # a method that a route does not have may count as the route's


def test_what_the_guard_refuses_is_told_too(client: TestClient) -> None:
    with capture_logs() as logs:
        answer = client.get("/v1/sessions/abc/files/x", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert [(line["route"], line["status"]) for line in logs if line["event"] == "request"] == [("(none)", 403)]


def test_health_is_asked_all_the_time_and_told_only_when_it_is_bad(client: TestClient) -> None:
    before = HTTP_REQUESTS.read("/healthz", "GET", "200")
    with capture_logs() as logs:
        client.get("/healthz")
    assert logs == []
    assert HTTP_REQUESTS.read("/healthz", "GET", "200") - before == 1


def test_a_websocket_is_a_request_as_well(client: TestClient) -> None:
    with capture_logs() as logs, client.websocket_connect("ws://localhost/v1/sessions/abc/channels"):
        pass
    assert [(line["method"], line["route"], line["status"]) for line in logs] == [
        ("WEBSOCKET", "/v1/sessions/{session_id}/channels", 101)
    ]
