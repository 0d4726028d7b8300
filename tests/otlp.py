"""A collector of traces: OTLP over real HTTP, as small as one can be."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What was received: all bytes, and the spans in them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.raw = b""
        self.spans: list[Any] = []

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def names(self) -> set[str]:
        return {span.name for span in self.spans}

    def named(self, name: str) -> Any:
        """Return the first span with this name."""
        return next(span for span in self.spans if span.name == name)

    def parents_of(self, span: Any) -> list[str]:
        """Return the names of the spans around one, from the nearest on."""
        by_id = {one.span_id: one for one in self.spans}
        names = []
        while (span := by_id.get(span.parent_span_id)) is not None:
            names.append(span.name)
        return names


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Listen on a free port for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes_of(span: Any) -> dict[str, Any]:
    """Return a span's attributes."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
