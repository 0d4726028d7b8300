"""A model provider of the bench's own: it streams the time, or calls for a cell and notes when the call was whole."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "bench"
WORDS = "stream the time"
LONG = "stream the time for a while"
CELL = "run a cell"
_CODE = '{"code": "1+1'
_CHUNKS, LONG_CHUNKS = 100, 300
_PACE_S = 0.01
# As a quick model does it: half a second until it begins, then 50 pieces a second.
_LONG_WAIT_S, _LONG_PACE_S = 0.5, 0.02


class Provider:
    """What runs: its address, the pages that it serves beside, and when the last call was whole."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/v1/chat/completions"
        self.pages: dict[str, tuple[str, bytes]] = {}  # by path: the media type, and what is there
        self.call_was_whole_at = 0.0


class _Pages(BaseHTTPRequestHandler):
    """Serves the pages that a floor needs, from the origin that they ask."""

    pages: Mapping[str, tuple[str, bytes]]

    def do_GET(self) -> None:
        kind, content = self.pages.get(self.path, ("text/plain", None))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        # A page that was closed meanwhile wants none of it any more.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


@contextmanager
def running_provider(port: int) -> Iterator[Provider]:
    """Answer Chat Completions at this port of the host."""
    provider = Provider(port)

    class Handler(_Pages):
        pages = provider.pages
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            with suppress(BrokenPipeError):  # whoever asked was stopped
                self._answer()

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            last = body["messages"][-1]
            if LONG in str(last["content"]):
                time.sleep(_LONG_WAIT_S)
                self._stream_the_time(LONG_CHUNKS, _LONG_PACE_S)
            elif WORDS in str(last["content"]):
                self._stream_the_time(_CHUNKS, _PACE_S)
            elif last["role"] == "user":
                self._call()
            else:
                self._send({"content": "Done."}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

        def _stream_the_time(self, chunks: int, pace_s: float) -> None:
            for _ in range(chunks):
                time.sleep(pace_s)
                self._send({"content": f"{time.time():.6f} "})
            self._send({}, "stop")

        def _call(self) -> None:
            function = {"name": "run_python", "arguments": _CODE}
            self._send({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
            time.sleep(_PACE_S)
            provider.call_was_whole_at = time.time()
            self._send({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]})
            self._send({}, "tool_calls")

        def _send(self, delta: dict[str, Any], reason: str | None = None) -> None:
            chunk = {"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
