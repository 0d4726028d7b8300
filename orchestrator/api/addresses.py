"""From which address somebody asks, where proxies stand in between."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import Request

Network = IPv4Network | IPv6Network
_IPV6_HOME = 64  # what one customer has: whoever has one address of it has them all


def asked_from(request: Request, trusted: Sequence[Network]) -> str:
    """Return the address of who asks, or of their network where that is what one person has."""
    return client_address(request.client.host if request.client else "", _forwarded(request), trusted)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the nearest address that is not a trusted proxy's; what lies beyond it, anybody can have written."""
    found = peer
    for hop in [peer, *reversed(forwarded)]:
        try:
            address = ip_address(hop)
        except ValueError:
            break
        found = str(address)
        if not any(address in network for network in trusted):
            break
    return _home(found)


def _home(address: str) -> str:
    try:
        return str(IPv6Network((address, _IPV6_HOME), strict=False))
    except ValueError:
        return address


def _forwarded(request: Request) -> list[str]:
    told = ",".join(request.headers.getlist("x-forwarded-for"))
    return [hop.strip() for hop in told.split(",") if hop.strip()]
