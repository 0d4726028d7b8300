"""Every route of the table × every role, tried against the real thing; a route that has no rule fails (THREATS U1, U2).

To add a role: a row in ROLES. To add a route: a row in RULES that says who may use it.
"""

import http.client
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Route, WebSocketRoute

from orchestrator.app import make_app
from orchestrator.config import Settings
from tests.stack import ApiSession, Stack, stopping_stack
from tests.team import PASSWORD, TEAM, Team

pytestmark = pytest.mark.any_runtime
SHARED = "a-long-random-token-for-this-test"
OTHERS = "f" * 32  # a session of somebody else


class For(Enum):
    """Whom a route is for."""

    ANYONE = auto()
    PEOPLE = auto()
    ADMINS = auto()
    READERS = auto()  # of the session that its path names: its owner, and whom they share it with
    OWNER = auto()  # of that session


@dataclass(frozen=True)
class Role:
    """Who asks, and with which status each kind of route is refused to them; a kind that is not named is allowed."""

    headers: Callable[[Team], dict[str, str]]
    refused: dict[For, int]
    session: str | None = None  # asked for instead of the owner's


def fresh(name: str) -> Callable[[Team], dict[str, str]]:
    """Have somebody ask with a token of this one use: logging out ends it."""
    return lambda team: bearer(team.token(name))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


STRANGER = {For.PEOPLE: 401, For.ADMINS: 401, For.READERS: 401, For.OWNER: 401}
NO_READER = {For.READERS: 404, For.OWNER: 404}
MEMBER = {For.ADMINS: 403}
ROLES = {
    "nobody": Role(lambda _: {}, STRANGER),
    "wrong token": Role(lambda team: bearer(team.token("owner")[:-1] + "!"), STRANGER),
    "two tokens": Role(lambda team: bearer(f"{team.token('owner')}, {team.token('owner')}"), STRANGER),
    "token in the wrong place": Role(
        lambda team: {"Cookie": f"token={team.token('owner')}", "X-Api-Key": team.token("owner")}, STRANGER
    ),
    "a name without a proof": Role(lambda _: bearer("owner") | {"X-Forwarded-User": "owner"}, STRANGER),
    "revoked token": Role(lambda team: bearer(team.revoked), STRANGER),
    "ended login": Role(lambda team: bearer(team.logged_out), STRANGER),
    "disabled": Role(lambda team: bearer(team.disabled), STRANGER),
    "owner": Role(fresh("owner"), MEMBER),
    "owner, logged in": Role(lambda team: bearer(team.log_in("owner")), MEMBER),
    "reader": Role(fresh("reader"), MEMBER | {For.OWNER: 403}),
    "reader, of a session that is not shared": Role(fresh("reader"), MEMBER | NO_READER, OTHERS),
    "former reader": Role(fresh("former"), MEMBER | NO_READER),
    "other member": Role(fresh("other"), MEMBER | NO_READER),
    "admin": Role(fresh("admin"), NO_READER),
    "owner, of another's session": Role(fresh("owner"), MEMBER | NO_READER, OTHERS),
    "owner, of a session that is none": Role(fresh("owner"), MEMBER | NO_READER, "0" * 32),
}

RULES = {
    "GET /healthz": For.ANYONE,
    "GET /readyz": For.ANYONE,
    "GET /v1/login": For.ANYONE,
    "POST /v1/login": For.ANYONE,
    "POST /v1/login/sso": For.ANYONE,
    "POST /v1/login/sso/finish": For.ANYONE,
    "GET /metrics": For.ADMINS,
    "GET /v1/admin/sandboxes": For.ADMINS,
    "POST /v1/admin/sandboxes/{session_id}/stop": For.ADMINS,
    "GET /v1/users": For.ADMINS,
    "POST /v1/users": For.ADMINS,
    "PATCH /v1/users/{name}": For.ADMINS,
    "GET /openapi.json": For.PEOPLE,
    "HEAD /openapi.json": For.PEOPLE,
    "POST /v1/logout": For.PEOPLE,
    "GET /v1/me": For.PEOPLE,
    "PUT /v1/me/password": For.PEOPLE,
    "GET /v1/me/keys": For.PEOPLE,
    "PUT /v1/me/keys/{provider}": For.PEOPLE,
    "DELETE /v1/me/keys/{provider}": For.PEOPLE,
    "GET /v1/me/usage": For.PEOPLE,
    "GET /v1/me/settings": For.PEOPLE,
    "PUT /v1/me/settings": For.PEOPLE,
    "GET /v1/tokens": For.PEOPLE,
    "POST /v1/tokens": For.PEOPLE,
    "DELETE /v1/tokens/{token_id}": For.PEOPLE,
    "GET /v1/models": For.PEOPLE,
    "GET /v1/profiles": For.PEOPLE,
    "GET /v1/sessions": For.PEOPLE,
    "POST /v1/sessions": For.PEOPLE,
    "GET /v1/sessions/{session_id}": For.READERS,
    "PATCH /v1/sessions/{session_id}": For.OWNER,
    "DELETE /v1/sessions/{session_id}": For.OWNER,
    "POST /v1/sessions/{session_id}/executions": For.OWNER,
    "POST /v1/sessions/{session_id}/interrupt": For.OWNER,
    "POST /v1/sessions/{session_id}/restart": For.OWNER,
    "POST /v1/sessions/{session_id}/sleep": For.OWNER,
    "POST /v1/sessions/{session_id}/stop": For.OWNER,
    "GET /v1/sessions/{session_id}/files": For.READERS,
    "POST /v1/sessions/{session_id}/files": For.OWNER,
    "GET /v1/sessions/{session_id}/files/{path:any_text}": For.READERS,
    "PUT /v1/sessions/{session_id}/files/{path:any_text}": For.OWNER,
    "DELETE /v1/sessions/{session_id}/files/{path:any_text}": For.OWNER,
    "POST /v1/sessions/{session_id}/files/{path:any_text}/rename": For.OWNER,
    "POST /v1/sessions/{session_id}/files/{path:any_text}/undo": For.OWNER,
    "GET /v1/sessions/{session_id}/archive": For.READERS,
    "POST /v1/sessions/import": For.PEOPLE,
    "POST /v1/sessions/{session_id}/cells/{cell_id}/run": For.OWNER,
    "GET /v1/sessions/{session_id}/messages": For.READERS,
    "POST /v1/sessions/{session_id}/messages": For.OWNER,
    "POST /v1/sessions/{session_id}/messages/{message_id}/regenerate": For.OWNER,
    "POST /v1/sessions/{session_id}/messages/{message_id}/show": For.OWNER,
    "DELETE /v1/sessions/{session_id}/messages/{message_id}": For.OWNER,
    "POST /v1/sessions/{session_id}/approvals/{call_id}": For.OWNER,
    "GET /v1/sessions/{session_id}/events": For.READERS,
    "GET /v1/sessions/{session_id}/export": For.READERS,
    "GET /v1/sessions/{session_id}/shares": For.OWNER,
    "PUT /v1/sessions/{session_id}/shares/{name}": For.OWNER,
    "DELETE /v1/sessions/{session_id}/shares/{name}": For.OWNER,
}
# Not every profile of this stack can be used, so it is alive, but not ready; and there is no provider. Nor does the
# session have a message, or a cell that waits.
NOT_HERE = {
    ("GET /readyz", "not_ready"),
    ("POST /v1/login/sso", "no_sso"),
    ("POST /v1/login/sso/finish", "no_sso"),
    ("PUT /v1/me/keys/{provider}", "no_own_keys"),
    ("DELETE /v1/me/keys/{provider}", "no_own_keys"),
    ("POST /v1/sessions/{session_id}/messages/{message_id}/regenerate", "message_not_found"),
    ("POST /v1/sessions/{session_id}/messages/{message_id}/show", "message_not_found"),
    ("DELETE /v1/sessions/{session_id}/messages/{message_id}", "message_not_found"),
    ("POST /v1/sessions/{session_id}/approvals/{call_id}", "approval_not_found"),
    ("POST /v1/sessions/{session_id}/cells/{cell_id}/run", "cell_not_found"),  # no sandbox is started for one
}
USES_THE_FILE_UP = ("/rename", "/undo")

BODIES: dict[str, Any] = {
    "POST /v1/login": {"name": "owner", "password": PASSWORD},
    "POST /v1/login/sso/finish": {"flow": "f", "state": "s", "code": "c"},
    "PUT /v1/me/password": {"old": PASSWORD, "new": PASSWORD},
    "PUT /v1/me/keys/{provider}": {"key": "sk-of-somebody"},
    "POST /v1/tokens": {"name": "another"},
    "PATCH /v1/users/{name}": {"role": "member", "disabled": False, "password": PASSWORD},
    "PUT /v1/me/settings": {"theme": "dark"},
    "PATCH /v1/sessions/{session_id}": {"name": "another", "approval": "ask", "instructions": "Be brief."},
    "POST /v1/sessions/{session_id}/approvals/{call_id}": {"decision": "run"},
    "POST /v1/sessions/import": {"nbformat": 4, "cells": []},
    "POST /v1/sessions/{session_id}/files": {"bytes": 1},
    "POST /v1/sessions/{session_id}/files/{path:any_text}/rename": {"to": "b.txt"},
    "POST /v1/sessions/{session_id}/cells/{cell_id}/run": {},
    "POST /v1/sessions/{session_id}/executions": {"code": "1"},
    "POST /v1/sessions/{session_id}/messages": {"content": "hello"},
}


def body(route: str) -> Any:
    """Return a body that fits the route."""
    return {"name": uuid.uuid4().hex} if route == "POST /v1/users" else BODIES.get(route)


def routes() -> set[str]:
    """Return all routes of the app as `METHOD path`; one of a kind that is unknown here is an error."""
    found = set()
    for context in iter_route_contexts(make_app(Settings.load({})).routes):
        match context.original_route:
            case WebSocketRoute():
                found.add(f"WEBSOCKET {context.path}")
            case Route():
                found |= {f"{method} {context.path}" for method in context.methods or ["ANY"]}
            case other:
                raise AssertionError(f"a route of a kind that this test cannot try: {other}")
    return found


def named(path: str, session_id: str, token_id: str = "0" * 16) -> str:
    """Return a route's path with names in it."""
    path = path.replace("{session_id}", session_id).replace("{path:any_text}", "a.txt")
    for name in ("message_id", "call_id", "cell_id"):
        path = path.replace(f"{{{name}}}", "0" * 32)
    return path.replace("{name}", "somebody").replace("{token_id}", token_id)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of a team, with a session of somebody else; with one runtime, since no sandbox matters."""
    with stopping_stack(Stack(tmp_path_factory.mktemp("stack"), **TEAM)) as running:
        database = sqlite3.connect(running.folder / "data" / "glovebox.sqlite")
        with database:
            database.execute(
                "INSERT INTO sessions (id, owner, name, profile, token, kernel_id, created_at, last_active_at) VALUES "
                "(?, 'somebody else', 'theirs', 'standard', 't', 'k', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
                (OTHERS,),
            )
        database.close()
        yield running


@pytest.fixture(scope="module")
def team(stack: Stack) -> Iterator[Team]:
    with stack.client() as client:
        yield Team(client, ["owner", "reader", "former", "other", "somebody"])


@pytest.fixture(scope="module")
def client(stack: Stack, team: Team) -> Iterator[httpx2.Client]:
    with stack.client(headers=bearer(team.token("owner"))) as made:
        yield made


@pytest.fixture(scope="module")
def asking(stack: Stack) -> Iterator[httpx2.Client]:
    with stack.client() as made:
        yield made


def theirs(stack: Stack) -> Any:
    """Return all that is known of somebody else's session."""
    database = sqlite3.connect(f"file:{stack.folder}/data/glovebox.sqlite?mode=ro", uri=True)
    row = database.execute("SELECT * FROM sessions WHERE id = ?", (OTHERS,)).fetchone()
    database.close()
    assert row is not None, "it is gone, so nothing more can be tried"
    return row, (stack.folder / "data" / "sessions" / OTHERS).exists()


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert routes() == RULES.keys()


def with_a_file(client: httpx2.Client) -> ApiSession:
    session = ApiSession(client)
    session.put("a.txt", b"mine")
    for method, name in (("PUT", "reader"), ("PUT", "former"), ("DELETE", "former")):
        assert client.request(method, f"{session.path}/shares/{name}").status_code == 204
    return session


@pytest.mark.parametrize("route", RULES)
def test_a_route_is_open_to_whom_it_is_for(
    stack: Stack, team: Team, client: httpx2.Client, asking: httpx2.Client, route: str
) -> None:
    rule = RULES[route]
    method, path = route.split(" ", 1)
    before = theirs(stack), team.accounts()
    session = with_a_file(client)
    refused = {name: role for name, role in ROLES.items() if rule in role.refused}
    for name, role in refused.items():
        target = named(path, role.session or session.id, team.token_id(bearer(team.token("owner"))))
        answer = asking.request(method, target, json=body(route), headers=role.headers(team))
        assert (name, answer.status_code) == (name, role.refused[rule])
        assert answer.headers["content-type"] == "application/problem+json"
        assert b"mine" not in answer.content
    assert session.files() == {"a.txt": 4}
    assert (theirs(stack), team.accounts()) == before
    for name, role in ROLES.items():
        if name in refused:
            continue
        if method == "DELETE" or path.endswith(USES_THE_FILE_UP):
            session = with_a_file(client)
        headers = role.headers(team)
        owner_of_token = bearer(team.token("owner")) if rule is For.ANYONE else headers
        target = named(path, role.session or session.id, team.token_id(owner_of_token))
        answer = asking.request(method, target, json=body(route), headers=headers)
        assert answer.status_code < 400 or (route, answer.json()["code"]) in NOT_HERE, (name, answer.text)
    assert theirs(stack) == before[0]
    client.delete(session.path)


def test_where_there_is_no_team_every_route_asks_for_the_token(tmp_path: Path) -> None:
    with stopping_stack(Stack(tmp_path, environ={"GLOVEBOX_TOKEN": SHARED})) as running, running.client() as asking:
        for route, rule in RULES.items():
            method, path = route.split(" ", 1)
            for headers in ({}, bearer(SHARED + "x"), {"Cookie": f"token={SHARED}", "X-Api-Key": SHARED}):
                answer = asking.request(method, named(path, OTHERS), json=body(route), headers=headers)
                assert (answer.status_code == 401) == (rule is not For.ANYONE), route


ODD = {
    "as it is": lambda path: path,
    "two slashes": lambda path: "/" + path,
    "slashes everywhere": lambda path: path.replace("/", "//"),
    "a slash behind": lambda path: path + "/",
    "a dot": lambda path: "/." + path,
    "an encoded dot": lambda path: "/%2e" + path,
    "up and down": lambda path: "/v1/.." + path,
    "up and down, encoded": lambda path: "/v1/%2e%2e" + path,
    "past an open route": lambda path: "/healthz/.." + path,
    "past an open route, encoded": lambda path: "/healthz/%2e%2e" + path,
    "past an open route, all encoded": lambda path: "/healthz%2f..%2f" + path[1:],
    "behind an open route": lambda path: "/healthz" + path,
    "a parameter of an open route": lambda path: "/healthz;" + path,
    "a query of an open route": lambda path: f"{path}?/healthz",
    "a fragment of an open route": lambda path: f"{path}#/healthz",
    "upper case": str.upper,
    "every letter encoded": lambda path: "".join(f"%{ord(c):02x}" if c.isalnum() else c for c in path),
    "encoded twice": lambda path: path.replace("/", "%252f"),
    "encoded slashes": lambda path: path[0] + path[1:].replace("/", "%2f"),
    "backslashes": lambda path: path.replace("/", "\\"),
    "an ending": lambda path: path + ".json",
    "a semicolon": lambda path: path + ";a=1",
    "a zero byte": lambda path: path + "%00",
    "a line break": lambda path: path + "%0d%0a",
    "overlong UTF-8": lambda path: path.replace("/", "%c0%af"),
    "a whole address": lambda path: f"http://localhost{path}",
    "no slash": lambda path: path[1:],
}
OPEN = {named(route.split(" ")[1], OTHERS) for route, rule in RULES.items() if rule is For.ANYONE}
PROXIES = ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix")
BEHIND_A_PROXY = dict.fromkeys(PROXIES, "/healthz") | {"X-HTTP-Method-Override": "GET"}


def statuses(stack: Stack, method: str, targets: list[str], headers: dict[str, str]) -> dict[str, int]:
    """Ask for targets as they are, which no ordinary client would, and return the status of each."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    found = {}
    for target in targets:
        connection.putrequest(method, target)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        found[target] = answer.status
        if answer.will_close:
            connection.close()
    connection.close()
    return found


@pytest.mark.parametrize("oddity", ODD)
def test_no_way_of_writing_a_path_gets_around_the_token(
    stack: Stack, team: Team, client: httpx2.Client, oddity: str
) -> None:
    session = ApiSession(client)
    closed = {path for path in (route.split(" ")[1] for route in RULES) if path not in OPEN}
    targets = [ODD[oddity](named(path, session.id)) for path in sorted(closed)]
    # How a path is read does not depend on the method.
    for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "get") if oddity == "as it is" else ("GET", "DELETE"):
        for headers in ({}, ROLES["wrong token"].headers(team) | BEHIND_A_PROXY):
            found = statuses(stack, method, targets, headers)
            # 400: the server that parses requests took it for none.
            assert set(found.values()) <= {400, 401}, found
    assert client.get(session.path).status_code == 200
    client.delete(session.path)


@pytest.mark.parametrize("oddity", ODD)
def test_no_way_of_writing_a_path_leads_to_somebody_elses_session(stack: Stack, team: Team, oddity: str) -> None:
    before = theirs(stack)
    paths = {route.split(" ")[1] for route, rule in RULES.items() if rule in (For.READERS, For.OWNER)}
    targets = [ODD[oddity](named(path, OTHERS)) for path in sorted(paths)]
    for method in ("GET", "POST", "PUT", "DELETE") if oddity == "as it is" else ("GET", "PUT"):
        found = statuses(stack, method, targets, bearer(team.token("owner")))
        assert all(300 <= status < 500 for status in found.values()), found
    assert theirs(stack) == before


@pytest.mark.parametrize("role", [name for name, role in ROLES.items() if role.refused])
def test_no_route_is_opened_by_asking_for_a_websocket(stack: Stack, team: Team, role: str) -> None:
    headers = ROLES[role].headers(team) | {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    targets = sorted({named(route.split(" ")[1], OTHERS) for route in RULES} | {"/v1/socket", "//v1/me"})
    found = statuses(stack, "GET", targets, headers)
    assert all(status >= 400 for status in found.values()), found
