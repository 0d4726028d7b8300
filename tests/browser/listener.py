"""A listener that nobody should ever reach: it keeps the name of whatever a browser was brought to ask of it."""

import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A 1×1 GIF, so that a picture that is loaded is one.
_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


class Listener:
    """HTTP and bare connections on one TCP port, datagrams on a UDP port, all on the loopback.

    What is asked for is in `hits`: a request's path without its slash, `connection` for one that says nothing, and
    `datagram`. `pages` maps paths to pages that it serves itself, as any site would: without a policy.
    """

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.pages: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        self.port: int = self._server.server_port
        self.udp_port: int = self._datagrams.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        for target in (self._server.serve_forever, self._hear):
            threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._datagrams.close()

    def _hear(self) -> None:
        try:
            while self._datagrams.recv(2048):
                self.hits.append("datagram")
        except OSError:
            return


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def handle_one_request(self) -> None:
            # Before a byte is read: a connection alone tells that name and address were looked for.
            listener.hits.append("connection")
            super().handle_one_request()

        def do_GET(self) -> None:
            path = self.path.lstrip("/").partition("?")[0]
            page = listener.pages.get(path)
            if page is None and path != "favicon.ico":
                listener.hits.append(path)
            kind, body = ("text/html", page.encode()) if page is not None else _answer(path)
            self.send_response(200)
            for name, value in _headers(kind, body).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            return

    return Handler


def _answer(path: str) -> tuple[str, bytes]:
    if path.endswith(".js"):
        return "text/javascript", b"window.canary = 1"
    if path.endswith(".css"):
        return "text/css", b""
    return "image/gif", _PIXEL


def _headers(kind: str, body: bytes) -> Mapping[str, str]:
    return {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", "Cache-Control": "no-store"}
