"""The server's name in a TLS hello: found in real ones however they are cut; all else is a BadHello and no worse."""

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.client_hello import HELLO_BYTES, BadHello, ClientHello, ClientHelloReader

HOST = "files.example.org"


def real_hello(host: str | None = HOST, **settings: object) -> bytes:
    """Return what Python's own TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    for name, value in settings.items():
        setattr(context, name, value)
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def read(*pieces: bytes) -> ClientHello | None:
    reader = ClientHelloReader()
    for piece in pieces:
        if (hello := reader.feed(piece)) is not None:
            return hello
    return None


def record(payload: bytes, kind: int = 22, version: int = 0x0301) -> bytes:
    return struct.pack(">BHH", kind, version, len(payload)) + payload


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size) + content


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, content)


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, bytes((kind,)) + vector(2, name)))


def message(
    extensions: bytes | None = b"",
    *,
    kind: int = 1,
    version: bytes = b"\x03\x03",
    session_id: bytes = b"",
    ciphers: bytes = b"\x13\x01",
    compressions: bytes = b"\x00",
    behind: bytes = b"",
) -> bytes:
    """Lay out a hello; what is not named is well formed."""
    body = version + bytes(32) + vector(1, session_id) + vector(2, ciphers) + vector(1, compressions)
    body += (vector(2, extensions) if extensions is not None else b"") + behind
    return bytes((kind,)) + vector(3, body)


REAL = real_hello()
GOOD = server_name(b"example.com")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_is_found_in_a_real_hello(version: ssl.TLSVersion) -> None:
    assert read(real_hello(minimum_version=version, maximum_version=version)) == ClientHello(HOST)
    assert read(real_hello("FILES.Example.ORG")) == ClientHello(HOST)
    assert read(real_hello(None)) == ClientHello(None)
    assert read(real_hello("93.184.215.14")) == ClientHello(None)


def test_a_hello_may_come_in_two_pieces_cut_anywhere() -> None:
    for at in range(len(REAL) + 1):
        assert read(REAL[:at], REAL[at:]) == ClientHello(HOST)


def test_a_hello_may_come_byte_by_byte_and_is_there_with_the_last_one() -> None:
    reader = ClientHelloReader()
    assert [reader.feed(bytes((byte,))) for byte in REAL] == [None] * (len(REAL) - 1) + [ClientHello(HOST)]


def test_a_hello_may_be_cut_into_records_of_any_size() -> None:
    payload = REAL[5:]
    for size in range(1, len(payload) + 1):
        cut = b"".join(record(payload[at : at + size]) for at in range(0, len(payload), size))
        assert read(cut) == ClientHello(HOST)


def test_what_comes_behind_the_hello_is_not_looked_at() -> None:
    assert read(REAL + b"\x17\x03\x03\x00\x01x" + bytes(HELLO_BYTES)) == ClientHello(HOST)
    assert read(REAL + b"GET / HTTP/1.1\r\n") == ClientHello(HOST)


def test_a_hello_of_our_own_making_is_read() -> None:
    """The builder of these tests is right, so the refusals below are for what they name."""
    assert read(record(message(GOOD))) == ClientHello("example.com")
    assert read(record(message(extension(43, b"\x02\x03\x04") + GOOD))) == ClientHello("example.com")
    assert read(record(message())) == ClientHello(None)
    assert read(record(message(None))) == ClientHello(None)
    assert read(record(message(GOOD, session_id=bytes(32)), version=0x0303)) == ClientHello("example.com")


MALFORMED = {
    "plain http": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "a nested CONNECT": b"CONNECT evil.example:22 HTTP/1.1\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an SSLv2 hello": bytes.fromhex("802e010002001500000010"),
    "another kind of record": record(message(GOOD), kind=23),
    "an unknown version of the record": record(message(GOOD), version=0x0300),
    "a version that is none": record(message(GOOD), version=0x0304),
    "an empty record": record(b"") + record(message(GOOD)),
    "a record that is too long": b"\x16\x03\x01\x40\x01",
    "another kind in the second record": record(message(GOOD)[:20]) + record(message(GOOD)[20:], kind=21),
    "another message": record(message(GOOD, kind=2)),
    "a message that is too long": record(b"\x01\x00\x40\x01"),
    "a second message behind it": record(message(GOOD) + message(GOOD)),
    "a version of long ago": record(message(GOOD, version=b"\x03\x00")),
    "a session id that is too long": record(message(GOOD, session_id=bytes(33))),
    "no ciphers": record(message(GOOD, ciphers=b"")),
    "half a cipher": record(message(GOOD, ciphers=b"\x13\x01\x13")),
    "no compressions": record(message(GOOD, compressions=b"")),
    "compression only": record(message(GOOD, compressions=b"\x01")),
    "bytes behind the extensions": record(message(GOOD, behind=b"\x00")),
    "an extension cut short": record(message(GOOD[:-1])),
    "two names of servers": record(message(GOOD + server_name(b"evil.example"))),
    "the same name twice": record(message(GOOD + GOOD)),
    "another extension twice": record(message(extension(9, b"") + GOOD + extension(9, b""))),
    "two names in one list": record(message(extension(0, vector(2, (b"\x00" + vector(2, b"a.example")) * 2)))),
    "an empty list of names": record(message(extension(0, vector(2, b"")))),
    "an empty extension for the name": record(message(extension(0, b""))),
    "bytes behind the list of names": record(message(extension(0, vector(2, b"\x00" + vector(2, b"a")) + b"x"))),
    "a name of an unknown kind": record(message(server_name(b"example.com", kind=1))),
    "an empty name": record(message(server_name(b""))),
    "a NUL in the name": record(message(server_name(b"example.com\x00.evil.example"))),
    "a line break in the name": record(message(server_name(b"example.com\n"))),
    "a byte of another script": record(message(server_name("bücher.example".encode()))),
    "a name that is too long": record(message(server_name(b"a" * 254))),
    "an encrypted hello": record(message(GOOD + extension(0xFE0D, b"\x01"))),
    "an encrypted name": record(message(GOOD + extension(0xFFCE, b"\x01"))),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_well_formed_is_refused(data: bytes) -> None:
    with pytest.raises(BadHello):
        read(data)
    with pytest.raises(BadHello):
        read(*(bytes((byte,)) for byte in data))


def test_a_hello_that_never_ends_is_refused_at_the_limit() -> None:
    payload = message(extension(21, bytes(HELLO_BYTES - 200)))
    tiny = b"".join(record(bytes((byte,))) for byte in payload)
    reader = ClientHelloReader()
    with pytest.raises(BadHello, match="more than"):
        for at in range(0, len(tiny), 100):
            reader.feed(tiny[at : at + 100])
    assert len(reader._records) + len(reader._message) <= HELLO_BYTES


def test_the_first_byte_is_enough_to_refuse_what_is_not_tls() -> None:
    with pytest.raises(BadHello, match="not TLS"):
        read(b"C")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_a_hello_or_refused_or_not_enough(pieces: list[bytes]) -> None:
    try:
        read(*pieces)
    except BadHello:
        return


@given(at=st.integers(0, len(REAL) - 1), byte=st.integers(0, 255), cut=st.integers(1, 200))
def test_a_real_hello_with_one_wrong_byte_never_breaks_the_reader(at: int, byte: int, cut: int) -> None:
    wrong = bytearray(REAL)
    wrong[at] = byte
    try:
        whole = read(bytes(wrong))
    except BadHello:
        with pytest.raises(BadHello):
            read(*(bytes(wrong[start : start + cut]) for start in range(0, len(wrong), cut)))
        return
    assert read(*(bytes(wrong[start : start + cut]) for start in range(0, len(wrong), cut))) == whole
