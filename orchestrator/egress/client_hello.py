"""The first message of a TLS connection, read for the one thing in it that is not encrypted: the server's name. No I/O.

Strict and bounded, since a reader that is more lenient than the server's would see another name than the server does.
A hello that hides its true name (ECH) is refused: what cannot be read cannot be compared.
"""

import re
from dataclasses import dataclass

from orchestrator.limits import KIB

HELLO_BYTES = 16 * KIB
TLS_HANDSHAKE = bytes((22,))  # the first byte
TLS_ALERT = bytes((21, 3, 3, 0, 2, 2, 49))  # fatal, access_denied: clients show this as an error with a name

_RECORD_HEADER_BYTES = 5
_MESSAGE_HEADER_BYTES = 4
_CLIENT_HELLO = 1
_RECORD_BYTES = 16 * KIB
_VERSIONS = (0x0301, 0x0302, 0x0303)
_SERVER_NAME = 0
_HOST_NAME = 0
_ENCRYPTED_HELLOS = (0xFE0D, 0xFFCE)  # ECH, and ESNI before it
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")


class BadHello(ValueError):
    """This is no ClientHello, or one that is not well formed; the text says where."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What was found: the server's name in lower case, None where the client did not say it."""

    server_name: str | None


class ClientHelloReader:
    """Reads one ClientHello from pieces of any size, and never holds more than `limit` bytes."""

    def __init__(self, limit: int = HELLO_BYTES) -> None:
        self._limit = limit
        self._seen = 0
        self._records = bytearray()
        self._message = bytearray()

    def feed(self, piece: bytes) -> ClientHello | None:
        """Take the next bytes; return the hello once it is whole, None while it is not.

        What comes behind the hello's last record is not looked at.

        Raises:
            BadHello: this can no longer become a good one.

        """
        self._seen += len(piece)
        self._records += piece[: self._limit]
        while (payload := self._next_record()) is not None:
            self._message += payload
            if len(self._message) >= _MESSAGE_HEADER_BYTES:
                length = self._message_length()
                if len(self._message) == length:
                    return _parse_hello(bytes(self._message[_MESSAGE_HEADER_BYTES:]))
                _need(len(self._message) < length, "another message stands behind the hello")
        _need(self._seen <= self._limit, f"the hello has more than {self._limit} bytes")
        return None

    def _next_record(self) -> bytes | None:
        """Cut the next whole record off; check its header as soon as it is there."""
        header = self._records[:_RECORD_HEADER_BYTES]
        _need(not header or header[:1] == TLS_HANDSHAKE, "this is not TLS")
        if len(header) < _RECORD_HEADER_BYTES:
            return None
        length = int.from_bytes(header[3:5])
        _need(int.from_bytes(header[1:3]) in _VERSIONS, "the record is of an unknown version")
        _need(0 < length <= _RECORD_BYTES, "the record's length makes no sense")
        end = _RECORD_HEADER_BYTES + length
        if len(self._records) < end:
            return None
        payload = bytes(self._records[_RECORD_HEADER_BYTES:end])
        del self._records[:end]
        return payload

    def _message_length(self) -> int:
        _need(self._message[0] == _CLIENT_HELLO, "the first message is no ClientHello")
        length = _MESSAGE_HEADER_BYTES + int.from_bytes(self._message[1:_MESSAGE_HEADER_BYTES])
        _need(length <= self._limit, f"the hello has more than {self._limit} bytes")
        return length


class _Fields:
    """A cursor over a message's fields, each a number or a vector that its length precedes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        _need(end <= len(self._data), "a field is cut short")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, length_size: int) -> bytes:
        return self.take(self.number(length_size))

    def end(self) -> None:
        _need(self.ended, "bytes stand behind the last field")


def _parse_hello(body: bytes) -> ClientHello:
    fields = _Fields(body)
    _need(fields.number(2) in _VERSIONS, "the hello is of an unknown version")
    fields.take(32)
    _need(len(fields.vector(1)) <= 32, "the session id is too long")
    ciphers = fields.vector(2)
    _need(len(ciphers) >= 2 and len(ciphers) % 2 == 0, "the list of ciphers makes no sense")
    _need(0 in fields.vector(1), "the list of compressions makes no sense")
    if fields.ended:
        return ClientHello(None)
    extensions = _Fields(fields.vector(2))
    fields.end()
    name: str | None = None
    seen: set[int] = set()
    while not extensions.ended:
        kind, content = extensions.number(2), extensions.vector(2)
        _need(kind not in seen, "an extension comes twice")
        _need(kind not in _ENCRYPTED_HELLOS, "it encrypts the name of its server (ECH)")
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _parse_server_name(content)
    return ClientHello(name)


def _parse_server_name(content: bytes) -> str:
    fields = _Fields(content)
    names = _Fields(fields.vector(2))
    fields.end()
    _need(names.number(1) == _HOST_NAME, "the server's name is of an unknown kind")
    name = names.vector(2).decode("latin-1")
    names.end()
    _need(_PLAIN_NAME.fullmatch(name) is not None, "the server's name is no plain name")
    return name.lower()


def _need(condition: bool, otherwise: str) -> None:  # noqa: FBT001
    if not condition:
        raise BadHello(otherwise)
