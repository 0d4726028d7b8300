"""What is refused is counted, and what is refused by policy is in the audit log, whichever way it was asked for."""

import socket
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.stack import ApiSession, MakeSession, Stack, running_stack, wait_for

Sample = tuple[str, str]
Act = Callable[[httpx2.Client, MakeSession], Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, since entries are counted; with one runtime, since no sandbox matters."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def metrics(client: httpx2.Client) -> dict[Sample, float]:
    """Return every sample by its name and its label's value."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    return {(one.name, next(iter(one.labels.values()), "")): one.value for f in families for one in f.samples}


def audit(stack: Stack) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{stack.folder}/data/glovebox.sqlite?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute("SELECT * FROM audit ORDER BY id")]
    connection.close()
    return found


def so_far(stack: Stack, client: httpx2.Client) -> int:
    """Return how many entries there are, when all that came before is written: they are written in order."""
    mark = uuid.uuid4().hex
    client.post("/v1/sessions", json={"profile": mark})
    wait_for(lambda: any(mark in one["detail"] for one in audit(stack)), "all entries of before")
    return len(audit(stack))


def noted(stack: Stack, before: int, detail: str) -> dict[str, Any]:
    """Wait for a new entry whose detail begins like this, and return it."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [one for one in audit(stack)[before:] if one["detail"].startswith(detail)]
        return bool(found)

    wait_for(there, f"an entry {detail!r}")
    return found[0]


def fill(client: httpx2.Client, make: MakeSession) -> Any:
    return client.put(f"{make(profile='tight').path}/files/big", content=b"x" * 40_000_000)


def run_nowhere(_: httpx2.Client, make: MakeSession) -> Any:
    session = make(profile="no-runtime")
    return session.client.post(f"{session.path}/executions", json={"code": "1"})


def run_nowhere_as_a_stream(_: httpx2.Client, make: MakeSession) -> Any:
    assert [event["type"] for event in make(profile="no-runtime").events("1")][-1] == "cell_failed"


def talk_nowhere(_: httpx2.Client, make: MakeSession) -> Any:
    events = list(make(profile="no-runtime").say("demo:run print(1)"))
    assert events[-1]["problem"]["code"] == "runtime_missing"


POLICY: list[tuple[str, str, str, Act]] = [
    ("wrong_host", "anonymous", "request", lambda client, _: client.get("/v1/me", headers={"Host": "evil.com"})),
    (
        "wrong_origin",
        "anonymous",
        "request",
        lambda client, _: client.post("/v1/sessions", headers={"Origin": "http://evil.com"}),
    ),
    ("unknown_profile", "local", "request", lambda client, _: client.post("/v1/sessions", json={"profile": "root"})),
    ("body_too_large", "local", "request", lambda client, _: client.post("/v1/sessions", content=b"x" * 9_000_000)),
    ("disk_full", "local", "request", fill),
    ("runtime_missing", "local", "request", run_nowhere),
    ("runtime_missing", "local", "cell", run_nowhere_as_a_stream),
    ("runtime_missing", "local", "turn", talk_nowhere),
]


@pytest.mark.parametrize(("code", "user", "action", "act"), POLICY, ids=[f"{row[0]}-{row[2]}" for row in POLICY])
def test_a_refusal_by_policy_is_counted_and_written_down(
    stack: Stack, client: httpx2.Client, make_session: MakeSession, code: str, user: str, action: str, act: Act
) -> None:
    entries, before = so_far(stack, client), metrics(client).get(("glovebox_refusals_total", code), 0)
    answer = act(client, make_session)
    if answer is not None:
        assert answer.json()["code"] == code
    entry = noted(stack, entries, f"{code}: ")
    assert (entry["user"], entry["action"], entry["decision"]) == (user, action, "denied")
    assert metrics(client)["glovebox_refusals_total", code] - before == 1
    sessions = {session["id"] for session in client.get("/v1/sessions").json()}
    assert (entry["session_id"] in sessions) == (code in ("disk_full", "runtime_missing"))


def test_a_refusal_that_is_no_policy_is_counted_only(stack: Stack, client: httpx2.Client) -> None:
    entries, before = so_far(stack, client), metrics(client)
    client.get(f"/v1/sessions/{'0' * 32}")
    client.post("/v1/sessions", json={"nmae": "x"})
    client.get("/no/such/route")
    after = metrics(client)
    for code in ("session_not_found", "bad_request", "no_such_route"):
        sample = ("glovebox_refusals_total", code)
        assert after[sample] - before.get(sample, 0) == 1
    client.post("/v1/sessions", json={"profile": "last"})  # entries are written in order
    noted(stack, entries, "unknown_profile: ")
    assert len(audit(stack)) - entries == 1


def test_a_flood_of_refusals_is_counted_but_does_not_fill_the_log(stack: Stack, client: httpx2.Client) -> None:
    entries, before = so_far(stack, client), metrics(client)
    for number in range(200):
        client.get(f"/flood/{number}", headers={"Host": "evil.com"})
    entry = noted(stack, entries, "wrong_host: ")
    assert "evil.com" in entry["detail"]
    sample, lost = ("glovebox_refusals_total", "wrong_host"), ("glovebox_audit_lost_total", "flood")
    after = metrics(client)
    assert after[sample] - before.get(sample, 0) == 200
    wait_for(lambda: len(audit(stack)) - entries >= 200 - (after[lost] - before[lost]), "all that was let through")
    assert len(audit(stack)) - entries < 150  # a burst and a few


def test_an_upload_that_breaks_off_is_no_failure_of_ours(
    stack: Stack, client: httpx2.Client, session: ApiSession
) -> None:
    gone, ours = ("glovebox_refusals_total", "client_gone"), ("glovebox_refusals_total", "internal_error")
    before = metrics(client)
    with socket.create_connection(("127.0.0.1", stack.port)) as upload:
        head = f"PUT {session.path}/files/half.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        upload.sendall(head.encode() + b"half")
    wait_for(lambda: metrics(client).get(gone, 0) > before.get(gone, 0), "the upload's end")
    assert metrics(client).get(ours, 0) == before.get(ours, 0)
    assert session.files() == {}
    assert "Traceback" not in stack.log("orchestrator.log")


def test_cells_and_the_limits_they_hit_are_counted(stack: Stack, client: httpx2.Client, session: ApiSession) -> None:
    before = metrics(client)
    session.run("1")
    session.run("1/0")
    session.run("print('x' * 3_000_000)")
    session.run("import time; time.sleep(30)", timeout_s=0.3)
    after = metrics(client)
    gained = {sample: after[sample] - before.get(sample, 0) for sample in after}
    assert gained["glovebox_cells_total", "ok"] == 2
    assert gained["glovebox_cells_total", "error"] == gained["glovebox_cells_total", "timeout"] == 1
    assert gained["glovebox_limits_hit_total", "output"] == gained["glovebox_limits_hit_total", "time"] == 1
    assert gained["glovebox_limits_hit_total", "memory"] == gained["glovebox_limits_hit_total", "disk"] == 0
    assert after["glovebox_sessions", "idle"] >= 1
    assert after["process_resident_memory_bytes", ""] > 10e6
