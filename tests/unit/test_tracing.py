"""Spans go to the endpoint that is set, and tell nothing of what was said; without an endpoint there are none."""

import subprocess
import sys
import time

import pytest
from structlog.testing import capture_logs

from orchestrator.tracing import describe, exported_traces, span, with_trace_id
from tests.otlp import attributes_of, running_collector

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_spans_are_received_as_they_lie_in_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        with exported_traces(), span("request", request_id="r1", user=None):
            with span("turn", model="m"), span("model call"):
                pass
            describe("GET /v1/me", status=200)
        assert collector.names() == {"GET /v1/me", "turn", "model call"}
        assert collector.parents_of(collector.named("model call")) == ["turn", "GET /v1/me"]
        told = attributes_of(collector.named("GET /v1/me"))
        assert told == {"glovebox.request_id": "r1", "glovebox.status": 200}


def test_a_span_that_fails_says_the_kind_of_error_and_not_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        with exported_traces(), pytest.raises(ValueError, match="hunter2"), span("cell"):
            raise ValueError("the password is hunter2")
        failed = collector.named("cell")
        assert (failed.status.code, failed.status.message, len(failed.events)) == (2, "ValueError", 0)
        assert b"hunter2" not in collector.raw


def test_a_log_line_within_a_span_bears_the_traces_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        with exported_traces():
            assert with_trace_id(None, "info", {}) == {}
            with span("request"):
                line = with_trace_id(None, "info", {"event": "x"})
        assert line == {"event": "x", "trace_id": collector.named("request").trace_id.hex()}
    assert with_trace_id(None, "info", {}) == {}


def test_without_an_endpoint_there_is_nothing() -> None:
    with exported_traces({}), capture_logs() as logs, span("request"):
        describe("other", status=1)
        assert with_trace_id(None, "info", {}) == {}
    assert logs == []


def test_without_an_endpoint_the_library_is_not_even_imported() -> None:
    code = (
        "import sys, orchestrator.__main__\n"
        "from orchestrator.tracing import exported_traces, span\n"
        "with exported_traces({}), span('x'): pass\n"
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://glovebox.invalid:4318"])
def test_a_collector_that_is_not_there_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv(ENDPOINT, endpoint)
    began = time.monotonic()
    with exported_traces():
        for _ in range(100):
            with span("request"):
                pass
    assert time.monotonic() - began < 20
