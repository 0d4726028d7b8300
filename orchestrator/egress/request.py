"""The head of a request to the proxy, and the head that goes on to the server in its place. No I/O.

The new head is written from what was understood, never copied as a whole: the `Host` is the target's, the length is
the one that was counted, what concerns only the connection to the proxy stays here, and one request is all there is.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from orchestrator.egress.target import Target

HEAD_END = b"\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_BAD_BYTES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # what a line may not have in it; a tab may stand in a value
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,15}")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
_WRITTEN_HERE = frozenset({"host", "content-length"})
_NO_BODY_METHODS = frozenset({"GET", "HEAD"})
_PHRASE_CHARS = 400


class BadHead(ValueError):
    """The head is not well formed, or asks for what this proxy does not do; the text says which."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request's head. Header names are in lower case."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for header, value in self.headers if header == name]


def parse_request(head: bytes) -> Request:
    """Read a head, without its closing empty line.

    Raises:
        BadHead: it is no HTTP/1 request.

    """
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadHead("the request's first line is not of the form METHOD target HTTP/1.1")
    return Request(parts[0], parts[1], parts[2], tuple(_parse_header(line) for line in lines))


def body_length(request: Request) -> int:
    """Return how many bytes of body follow.

    Raises:
        BadHead: that cannot be told for sure, or the method has none.

    """
    if request.values("transfer-encoding"):
        raise BadHead("a body needs a Content-Length here, not a Transfer-Encoding")
    lengths = request.values("content-length")
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise BadHead("the Content-Length is not one number")
    length = int(lengths[0]) if lengths else 0
    if length and request.method in _NO_BODY_METHODS:
        raise BadHead(f"a {request.method} request has no body")
    return length


def onward_head(request: Request, target: Target) -> bytes:
    """Return the head to send to the server.

    Raises:
        BadHead: as `body_length`.

    """
    length = body_length(request)
    named = {name.strip().lower() for value in request.values("connection") for name in value.split(",")}
    left_out = _HOP_BY_HOP | _WRITTEN_HERE | named
    lines = [f"{request.method} {target.path} {request.version}", f"Host: {target.host_header}"]
    lines += [f"{name}: {value}" for name, value in request.headers if name not in left_out]
    if request.values("content-length"):
        lines.append(f"Content-Length: {length}")
    lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


def answer(status: HTTPStatus, hint: str) -> bytes:
    """Return a whole response that tells `hint`; in the status line, too, all that clients show of a refused tunnel."""
    hint = "".join(character if " " <= character <= "~" else "?" for character in hint)
    phrase = hint if len(hint) <= _PHRASE_CHARS else hint[: _PHRASE_CHARS - 3] + "..."
    body = hint.encode("ascii") + b"\n"
    lines = (
        f"HTTP/1.1 {status.value} {phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode("ascii") + HEAD_END + body


def _parse_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    value = value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name) or _BAD_BYTES.search(value):
        raise BadHead("a header line is not of the form Name: value")
    return name.lower(), value
