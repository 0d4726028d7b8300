"""A host that is full: the oldest idle sandbox gives way, else whoever comes waits in a fair queue and is told so."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack import ApiSession, Stack, profiles, stopping_stack, wait_for

pytestmark = pytest.mark.any_runtime
UNTIL_GO = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)"


@pytest.fixture
def small_host(tmp_path: Path, runtime: str) -> Iterator[Stack]:
    """A host that may promise two sandboxes, and a person who may run five cells a minute."""
    config: dict[str, Any] = {
        "capacity": {"memory_mb": 2 * profiles(runtime)["standard"]["memory_mb"]},
        "quotas": {"admin": {"cells_per_minute": 8}},
    }
    with stopping_stack(Stack(tmp_path, config, runtime=runtime, limits={"GIVES_WAY_AFTER_S": 2.0})) as stack:
        yield stack


def state(session: ApiSession) -> dict[str, Any]:
    found: dict[str, Any] = session.client.get(session.path).json()
    return found


def test_idle_ones_give_way_and_keep_their_variables_and_busy_ones_are_waited_for(small_host: Stack) -> None:
    with small_host.client() as client:
        first, second, third = (ApiSession(client) for _ in range(3))
        first.run("x = 1")
        threads = [threading.Thread(target=session.run, args=(UNTIL_GO,), daemon=True) for session in (first, second)]
        for thread in threads:
            thread.start()
        wait_for(lambda: state(first)["state"] == state(second)["state"] == "busy", "two busy sessions")
        events: list[dict[str, Any]] = []
        for event in third.events("print('at last')"):
            events.append(event)
            if event["type"] == "sandbox_state" and event["state"] == "queued":
                assert state(third)["queue_place"] == 1
                first.put("go", b"")  # it is idle from now on, and second is not
        kinds = [(event["type"], event.get("state"), event.get("place")) for event in events[:2]]
        assert kinds == [("sandbox_state", "queued", 1), ("sandbox_state", "starting", None)]
        assert events[-1]["outputs"][0]["text"] == "at last\n"
        second.put("go", b"")
        for thread in threads:
            thread.join()
        assert state(first)["state"] == "asleep", "it was idle for the longest time"
        assert first.printed("print(x)") == "1\n"
        assert len(small_host.containers()) == 2


def test_cells_beyond_the_quota_are_refused_with_a_time_to_come_back(small_host: Stack) -> None:
    with small_host.client() as client:
        session = ApiSession(client)
        for _ in range(8):
            session.run("1")
        refused = client.post(f"{session.path}/executions", json={"code": "1"})
        assert (refused.status_code, refused.json()["code"]) == (429, "cells_per_minute")
        assert 1 <= int(refused.headers["Retry-After"]) <= 8
        assert list(session.say("demo:run 1"))[-1]["problem"]["code"] == "cells_per_minute"


def test_somebody_may_have_as_many_sandboxes_as_their_quota_says(tmp_path: Path, runtime: str) -> None:
    stack = Stack(tmp_path, {"quotas": {"people": {"local": {"sessions_running": 1}}}}, runtime=runtime)
    with stopping_stack(stack), stack.client() as client:
        first, second = ApiSession(client), ApiSession(client)
        busy = threading.Thread(target=first.run, args=(UNTIL_GO,), daemon=True)
        busy.start()
        wait_for(lambda: state(first)["state"] == "busy", "a busy session")
        refused = client.post(f"{second.path}/executions", json={"code": "1"})
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")
        assert client.post(f"{first.path}/sleep").json()["code"] == "cell_running"
        first.put("go", b"")
        busy.join()
        assert second.printed("print(1)") == "1\n"
        assert state(first)["state"] == "asleep", "of one's own, the idle one gives way at once"
        assert client.post(f"{second.path}/sleep").status_code == 204
        assert stack.containers() == []


def test_a_config_that_promises_more_than_the_host_has_is_refused_at_start(tmp_path: Path) -> None:
    for broken, told in (
        ({"memory_mb": 100_000_000}, "profiles.standard.memory_mb is 100000000, but the host has"),
        ({"cpus": 256}, "profiles.standard.cpus is 256, but the host has"),
    ):
        stack = Stack(tmp_path, {"profiles": {"standard": broken}})
        process = stack._start("orchestrator", "orchestrator.log")
        assert process.wait(30) == 1
        assert told in stack.log("orchestrator.log")
        assert json.loads(stack.config.read_text())["profiles"]


def test_somebody_may_use_as_much_disk_as_their_quota_says(tmp_path: Path, runtime: str) -> None:
    stack = Stack(tmp_path, {"quotas": {"people": {"local": {"disk_mb": 2}}}}, runtime=runtime)
    with stopping_stack(stack), stack.client() as client:
        first, second = ApiSession(client), ApiSession(client)
        first.put("a.bin", b"a" * 1_500_000)
        pieces = (b"b" * 100_000 for _ in range(10))  # nobody knows how long it gets
        for body in (b"b" * 1_000_000, pieces):
            refused = client.put(f"{second.path}/files/b.bin", content=body)
            assert (refused.status_code, refused.json()["code"]) == (507, "disk_quota"), refused.text
        assert second.files() == {}
        second.put("b.bin", b"b" * 450_000)
        for number in range(100):  # each takes a block of the disk
            if client.put(f"{second.path}/files/{number}", content=b"c").status_code == 507:
                break
        refused = client.post("/v1/sessions", json={})
        assert (refused.status_code, refused.json()["code"]) == (429, "disk_quota"), refused.text
        first.delete()
        assert client.post("/v1/sessions", json={}).status_code == 201
