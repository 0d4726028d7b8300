"""What is refused, and with which code."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.stack import ApiSession, MakeSession, Stack

pytestmark = pytest.mark.any_runtime
NOBODY = "0" * 32


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/executions"),
        ("POST", "/interrupt"),
        ("POST", "/restart"),
        ("GET", "/files"),
        ("GET", "/files/a.txt"),
        ("PUT", "/files/a.txt"),
        ("DELETE", "/files/a.txt"),
        ("POST", "/messages"),
        ("GET", "/messages"),
        ("GET", "/events"),
        ("POST", "/stop"),
        ("GET", "/export"),
    ],
)
@pytest.mark.parametrize("session_id", [NOBODY, "no-such", "..%2f..%2fetc"])
def test_a_session_that_does_not_exist_is_told(client: httpx2.Client, method: str, path: str, session_id: str) -> None:
    body = {"code": "1", "content": "1", "name": "1"}
    wanted = {"/executions": ["code"], "/messages": ["content"], "": ["name"]}.get(path, [])
    json = {key: body[key] for key in wanted} if method in ("POST", "PATCH") else None
    answer = client.request(method, f"/v1/sessions/{session_id}{path}", json=json)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("session_not_found", "no_such_route")
    if session_id == NOBODY:
        assert NOBODY in answer.json()["detail"]


def test_every_error_is_a_problem_document(client: httpx2.Client, session: ApiSession) -> None:
    cases = [
        (client.get("/no/such/route"), 404, "no_such_route"),
        (client.delete("/v1/models"), 405, "method_not_allowed"),
        (client.post("/v1/sessions", json={"profil": "x"}), 422, "bad_request"),
        (client.post("/v1/sessions", json={"profile": "no-such"}), 422, "unknown_profile"),
        (client.post("/v1/sessions", content=b"{", headers={"content-type": "application/json"}), 422, "bad_request"),
        (client.post(f"{session.path}/executions", json={}), 422, "bad_request"),
        (client.post(f"{session.path}/executions", json={"code": "1", "timeout_s": -1}), 422, "bad_request"),
        (client.post(f"{session.path}/messages", json={"content": "  "}), 422, "bad_request"),
        (client.get(f"{session.path}/export", params={"format": "exe"}), 422, "bad_request"),
    ]
    for answer, status, code in cases:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        assert set(problem) == {"type", "title", "status", "detail", "code"}
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("profile", "code"), [("no-image", "sandbox_image_missing"), ("no-runtime", "runtime_missing")]
)
def test_a_missing_image_or_runtime_is_told_and_leaves_no_container(
    make_session: MakeSession, stack: Stack, profile: str, code: str
) -> None:
    session = make_session(profile=profile)
    answer = session.client.post(f"{session.path}/executions", json={"code": "1"})
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert stack.containers(f"label=glovebox.session={session.id}") == []
    assert list(session.events("1"))[-1]["problem"]["code"] == code


def test_no_docker_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    stack = Stack(tmp_path, environ={"DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock"})
    try:
        stack.start_spawner()
        stack.start_orchestrator()
        with stack.client() as client:
            assert client.get("/readyz").json()["code"] == "engine_unavailable"
            session = ApiSession(client)
            session.put("a.txt", b"kept")
            answer = client.post(f"{session.path}/executions", json={"code": "1"})
            assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
            assert "Docker Engine does not answer" in answer.json()["detail"]
            assert session.files() == {"a.txt": 4}
    finally:
        stack.stop()


def test_no_spawner_is_told_and_its_return_is_noticed(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    try:
        stack.start_spawner()
        stack.start_orchestrator()
        with stack.client() as client:
            session = ApiSession(client)
            stack.kill(stack.spawner)
            answer = client.post(f"{session.path}/executions", json={"code": "1"})
            assert (answer.status_code, answer.json()["code"]) == (503, "spawner_unavailable")
            stack.start_spawner()
            assert session.printed("print('back')") == "back\n"
    finally:
        stack.stop()


def test_a_wrong_config_is_refused_at_start_with_key_value_and_what_is_allowed(tmp_path: Path, root: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"profiles": {"standard": {"memory": 12, "cpus": -1}}, "sever": {}}')
    for module in ("orchestrator", "orchestrator.spawner"):
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=root,
            env={"GLOVEBOX_CONFIG": str(config), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "profiles.standard.memory: unknown key (value 12)" in done.stderr
        assert "memory_mb" in done.stderr
        assert "profiles.standard.cpus" in done.stderr
        assert "-1" in done.stderr
        assert "sever: unknown key" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_token_is_asked_for_on_every_route_once_it_is_set(tmp_path: Path) -> None:
    token = "a-long-random-token-for-this-test"
    stack = Stack(tmp_path, environ={"GLOVEBOX_TOKEN": token})
    try:
        stack.start_spawner()
        stack.start_orchestrator()
        with stack.client() as anonymous:
            assert anonymous.get("/healthz").status_code == 200
            for path in ("/v1/sessions", "/v1/models", "/v1/me", "/openapi.json", "/docs", "/no/such"):
                answer = anonymous.get(path)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
                assert anonymous.get(path, headers={"Authorization": f"Bearer {token}x"}).status_code == 401
        with stack.client(headers={"Authorization": f"Bearer {token}"}) as known:
            me = {"id": "local", "name": "local", "role": "admin", "mode": "one", "can_log_out": False}
            assert known.get("/v1/me").json() == me
    finally:
        stack.stop()


def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(
    client: httpx2.Client, session: ApiSession
) -> None:
    answer = client.post(f"{session.path}/executions", json={"code": "x" * 9_000_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_half_characters_are_refused(client: httpx2.Client, session: ApiSession) -> None:
    body = b'{"content": "x", "attachments": ["\\ud800"]}'
    answer = client.post(f"{session.path}/messages", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")
