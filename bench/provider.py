"""A model provider of the bench's own: it streams the time, or calls for a cell and notes when the call was whole."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "bench"
WORDS = "stream the time"
CELL = "run a cell"
_CODE = '{"code": "1+1'
_CHUNKS = 100
_PACE_S = 0.01


class Provider:
    """What runs: its address, and when the last call was whole."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self.call_was_whole_at = 0.0


@contextmanager
def running_provider(port: int) -> Iterator[Provider]:
    """Answer Chat Completions at this port of the host."""
    provider = Provider(port)

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            last = body["messages"][-1]
            if WORDS in str(last["content"]):
                self._stream_the_time()
            elif last["role"] == "user":
                self._call()
            else:
                self._send({"content": "Done."}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

        def _stream_the_time(self) -> None:
            for _ in range(_CHUNKS):
                time.sleep(_PACE_S)
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

        def log_message(self, *_: object) -> None:
            """Say nothing of requests."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
