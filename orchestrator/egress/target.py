"""What a client asks a proxy for: a CONNECT authority or an absolute `http://` URL, read strictly. No I/O.

Two programs that read one target differently are how filters are passed (THREATS E1). So there is one form for each
host here, and what is not in that form is refused instead of being repaired; only upper case is made lower case.
"""

import ipaddress
import re
from dataclasses import dataclass

HTTP_PORT = 80
_NAME_CHARS = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like this makes resolvers read an IPv4 address
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_IPV6 = re.compile(r"\[([0-9a-f:.]{2,45})\]")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_URL = re.compile(r"http://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_PATH = re.compile(r"[!$-;=?-Z\[\]_a-z~]*")  # visible ASCII without # " < > \ ^ ` { | }
_SHOWN_CHARS = 80


class BadTarget(ValueError):
    """The target is in no form that is accepted; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A host (a name in lower case or an IP address in its one canonical form), a port and, for http, a path."""

    host: str
    port: int
    is_address: bool
    path: str = ""

    @property
    def authority(self) -> str:
        """`host:port`, as CONNECT names it."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of a `Host` header: without the port where it is http's own."""
        return self._bracketed if self.port == HTTP_PORT else self.authority

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_connect(text: str) -> Target:
    """Read the authority-form of CONNECT: `host:port`.

    Raises:
        BadTarget: it is anything else.

    """
    host, port = _split_authority(text)
    if port is None:
        raise BadTarget(f"{_shown(text)} names no port; CONNECT needs host:port")
    name, is_address = parse_host(host)
    return Target(name, _parse_port(port), is_address)


def parse_http_url(text: str) -> Target:
    """Read the absolute-form of all other methods: `http://host[:port]/path`.

    Raises:
        BadTarget: it is anything else; https too, which goes by CONNECT.

    """
    found = _URL.fullmatch(text)
    if found is None:
        raise BadTarget(f"{_shown(text)} is no http:// URL (https goes by CONNECT)")
    authority, path = found.groups()
    if not _PATH.fullmatch(path):
        raise BadTarget(f"{_shown(text)} has characters that a URL may not have")
    host, port = _split_authority(authority)
    name, is_address = parse_host(host)
    return Target(
        name,
        HTTP_PORT if port is None else _parse_port(port),
        is_address,
        path if path.startswith("/") else f"/{path}",
    )


def parse_host(text: str) -> tuple[str, bool]:
    """Return a host in its one form, and whether it is an IP address (IPv6 stands in brackets).

    Raises:
        BadTarget: it is no plain name and no plain address.

    """
    host = text.lower() if text.isascii() else text
    if host.startswith("["):
        return _parse_ipv6(host), True
    labels = host.split(".")
    if len(host) > _NAME_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadTarget(
            f"{_shown(text)} is no plain host name (letters, digits, hyphens, dots; other scripts as xn--...)"
        )
    if _NUMBER.fullmatch(labels[-1]):
        return _parse_ipv4(host), True
    return host, False


def _parse_ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise BadTarget(f"{_shown(host)} is no IPv4 address in its usual form (four numbers)") from error


def _parse_ipv6(host: str) -> str:
    found = _IPV6.fullmatch(host)
    try:
        if found is None:
            raise ValueError
        return str(ipaddress.IPv6Address(found[1]))
    except ValueError as error:
        raise BadTarget(f"{_shown(host)} is no IPv6 address without a zone in brackets") from error


def _split_authority(text: str) -> tuple[str, str | None]:
    if "@" in text:
        raise BadTarget("a user name or password must not stand before the host")
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise BadTarget(f"{_shown(text)} is not of the form host:port")
    return found[1], found[2]


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise BadTarget(f"{_shown(text)} is no port (1 to 65535)")
    return int(text)


def _shown(text: str) -> str:
    """Quote what a client sent so that it can stand in a log, a header and a page: short, printable ASCII."""
    return ascii(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")
