"""Spans for OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

Where it is not, neither the SDK nor an exporter is imported and a span costs nothing. A span tells what happened, when
and in which session: no code, no text, no name of a file, not even an error's own words.
"""

import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SERVICE = "glovebox"
_LAST_SPANS_S = 2.0
_NOTHING: AbstractContextManager[None] = nullcontext()


class _Exporting:
    """The library, imported only where there is somewhere to export to."""

    def __init__(self) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or _SERVICE})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter: Any = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SERVICE)
        self._trace = trace

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        """Make what happens in the block a span, a child of the one around it."""
        with self._tracer.start_as_current_span(
            name, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
        ) as current:
            try:
                yield
            except BaseException as error:
                current.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
                raise

    def describe(self, name: str | None, attributes: Mapping[str, Any]) -> None:
        """Give the span that is open now another name, and more attributes."""
        current = self._trace.get_current_span()
        if name is not None:
            current.update_name(name)
        current.set_attributes(_named(attributes))

    def trace_id(self) -> str | None:
        """Return the id of the trace that is open now."""
        number = self._trace.get_current_span().get_span_context().trace_id
        return f"{number:032x}" if number else None

    def close(self) -> None:
        """Send what is left, but do not wait long for a collector that is not there."""
        last = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(_LAST_SPANS_S)
        if last.is_alive():
            self._exporter.shutdown()
            last.join(_LAST_SPANS_S)


_exporting: _Exporting | None = None


@contextmanager
def exported_traces(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Export the spans of the block, if the environment says where to. The library reads its own variables, too."""
    global _exporting
    if not environ.get(_ENDPOINT):
        yield
        return
    _exporting = _Exporting()
    try:
        yield
    finally:
        closing, _exporting = _exporting, None
        closing.close()


def span(name: str, **attributes: Any) -> AbstractContextManager[None]:
    """Return what makes a block a span. Attributes that are None are left out."""
    return _NOTHING if _exporting is None else _exporting.span(name, attributes)


def describe(name: str | None = None, **attributes: Any) -> None:
    """Give the span that is open now another name, and more attributes."""
    if _exporting is not None:
        _exporting.describe(name, attributes)


def with_trace_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the trace's id to a log line (a processor of structlog's), so that one is found from the other."""
    if _exporting is not None and (trace_id := _exporting.trace_id()) is not None:
        event["trace_id"] = trace_id
    return event


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{_SERVICE}.{name}": value for name, value in attributes.items() if value is not None}
