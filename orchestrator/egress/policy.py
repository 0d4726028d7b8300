"""What a session may reach: a list of hosts, and the decision on one request. No I/O.

An entry grants, and nothing else does: an empty list denies everything (THREATS E4). Where several entries fit, what
they grant adds up.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.egress.target import BadTarget, Target, parse_connect, parse_host, parse_http_url

_HOSTS_TOLD = 8
_METHOD = re.compile(r"[A-Z]{1,20}")
_SHOWN_METHOD = re.compile(r"[A-Za-z]{1,20}")
_WILDCARD = "*."


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry of an allow-list.

    `name` is a host name, an IP address, or `*.example.org` for all names beneath (not example.org itself). `methods`
    hold for plain http only: in a tunnel, nobody can see them. `allow_private` lets the name lead to an address of a
    private network.

    Raises:
        ValueError: a name, port or method that makes no sense.

    """

    name: str
    ports: tuple[int, ...] = (443,)
    methods: tuple[str, ...] = ("GET", "HEAD")
    allow_private: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _normalised(self.name))
        if not self.ports or not all(type(port) is int and 0 < port < 2**16 for port in self.ports):
            raise ValueError(f"ports of {self.name!r} are {self.ports!r}; allowed: one or more from 1 to 65535")
        if "CONNECT" in self.methods or not all(_METHOD.fullmatch(method) for method in self.methods):
            raise ValueError(f"methods of {self.name!r} are {self.methods!r}; allowed: names like GET, but not CONNECT")

    def covers(self, host: str) -> bool:
        """Tell whether a host in its normal form is this entry's."""
        if self.name.startswith(_WILDCARD):
            return host.endswith(self.name[1:])
        return host == self.name

    def __str__(self) -> str:
        if self.ports == (443,):
            return self.name
        return f"{self.name} (port{'s' if len(self.ports) > 1 else ''} {_listed(self.ports)})"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request may go to this target, if the target's addresses are fit."""

    target: Target
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """The request may not go anywhere; `reason` says so to whoever wrote the code. No target: it could not be read."""

    reason: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The allow-list of one profile."""

    hosts: tuple[AllowedHost, ...] = ()

    def decide(self, method: str, target: str) -> Allowed | Denied:
        """Decide on a request line's method and target, whatever text they are."""
        try:
            wanted = parse_connect(target) if method == "CONNECT" else parse_http_url(target)
        except BadTarget as error:
            return Denied(f"This session may not make that request: {error}.")
        entries = [entry for entry in self.hosts if entry.covers(wanted.host)]
        if not entries:
            return Denied(f"This session may not reach {wanted.host}; {self._allows()}.", wanted)
        ports = sorted({port for entry in entries for port in entry.ports})
        entries = [entry for entry in entries if wanted.port in entry.ports]
        if not entries:
            where = f"{wanted.host} on port {wanted.port}"
            return Denied(f"This session may not reach {where}; its profile allows there: {_listed(ports)}.", wanted)
        if method != "CONNECT":
            methods = sorted({allowed for entry in entries for allowed in entry.methods})
            entries = [entry for entry in entries if method in entry.methods]
            if not entries:
                allowed = _listed(methods) or "nothing by plain http"
                what = f"send {_shown_method(method)} to {wanted.host}"
                return Denied(f"This session may not {what}; its profile allows there: {allowed}.", wanted)
        return Allowed(wanted, any(entry.allow_private for entry in entries))

    def _allows(self) -> str:
        if not self.hosts:
            return "its profile allows no host"
        told = _listed(self.hosts[:_HOSTS_TOLD])
        more = len(self.hosts) - _HOSTS_TOLD
        return f"its profile allows: {told}" + (f" and {more} more" if more > 0 else "")


def _normalised(name: str) -> str:
    """Return an entry's name as targets are compared with it."""
    wildcard = name.startswith(_WILDCARD)
    plain = name.removeprefix(_WILDCARD)
    try:
        host, is_address = parse_host(f"[{plain}]" if plain.count(":") > 1 and not plain.startswith("[") else plain)
    except BadTarget as error:
        raise ValueError(str(error)) from error
    if wildcard and (is_address or "." not in host):
        raise ValueError(f"{name!r} is too wide; a wildcard stands before a domain of two or more parts")
    return _WILDCARD + host if wildcard else host


def _shown_method(method: str) -> str:
    return method if _SHOWN_METHOD.fullmatch(method) else "that method"


def _listed(things: Iterable[object]) -> str:
    return ", ".join(str(thing) for thing in things)
