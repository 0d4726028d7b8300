"""A request's trace on real parts: what took the time is seen, and what was said is not."""

from collections.abc import Iterator

import pytest

from tests.otlp import Collector, attributes_of, running_collector
from tests.stack import ApiSession, Stack, stopping_stack, wait_for

SECRET = "xyzzy-42-plugh"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with stopping_stack(Stack(tmp_path_factory.mktemp("traces"), environ=environ)) as stack:
        yield stack


def test_a_turn_is_one_trace_from_the_request_to_the_container(traced: Stack, collector: Collector) -> None:
    with traced.client() as client:
        session = ApiSession(client)
        session.put("data.csv", b"a,b\n1,2\n")
        list(session.say(f"Plot a sine. {SECRET}"))
        assert session.printed(f"print('{SECRET}'.upper())").strip() == SECRET.upper()
    wanted = {"turn", "model call", "cell", "sandbox start", "spawner call", "POST /v1/sessions"}
    wait_for(lambda: wanted <= collector.names(), "the spans", 20)
    messages = "POST /v1/sessions/{session_id}/messages"
    wait_for(lambda: messages in collector.names(), "the request's span", 20)
    create = next(one for one in collector.spans if attributes_of(one).get("glovebox.verb") == "create")
    assert collector.parents_of(create) == ["sandbox start", "cell", "turn", messages]
    assert collector.parents_of(collector.named("model call")) == ["turn", messages]
    cell = attributes_of(next(one for one in collector.spans if one.name == "cell"))
    assert cell["glovebox.session"] == session.id
    assert SECRET.encode() not in collector.raw
    assert b"data.csv" not in collector.raw


def test_log_lines_name_the_trace(traced: Stack) -> None:
    with traced.client() as client:
        client.get("/v1/me", headers={"X-Request-Id": "look-for-me-1"})
    # It is written when the answer has been sent.
    wait_for(lambda: "look-for-me-1" in traced.log("orchestrator.log"), "the line", 20)
    (line,) = [line for line in traced.log("orchestrator.log").splitlines() if "look-for-me-1" in line]
    assert '"trace_id": "' in line
