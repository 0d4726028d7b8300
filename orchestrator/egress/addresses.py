"""Which IP addresses a sandbox may be connected to. No I/O.

The tables are our own, and not `is_global` of the standard library, whose answers changed between Python's versions.
An address that carries another one (IPv4 in IPv6) is judged by the one that it carries (THREATS E2).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ip_network(part) for part in text.split())


_LOOPBACK = _networks("127.0.0.0/8 ::1/128")
_LINK_LOCAL = _networks("169.254.0.0/16 fe80::/10")
_MULTICAST = _networks("224.0.0.0/4 ff00::/8")
# Clouds tell a machine's secrets here, some of them at addresses that look private or even public.
_METADATA = _networks("100.100.100.200/32 168.63.129.16/32 fd00:ec2::254/128 fd20:ce::254/128")
_RESERVED = _networks("0.0.0.0/8 192.0.0.0/24 192.88.99.0/24 240.0.0.0/4 ::/8 100::/64 2001::/23 fec0::/10")
# What a site may use inside of its own network; the documentation and benchmark ranges are used so, too.
_PRIVATE = _networks(
    "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15"
    " fc00::/7 2001:db8::/32 3fff::/20"
)
_NEVER = (
    ("a loopback address", _LOOPBACK),
    ("a link-local address", _LINK_LOCAL),
    ("a multicast address", _MULTICAST),
    ("a cloud's metadata service", _METADATA),
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: Address, *, allow_private: bool) -> str | None:
    """Return what kind of address this is, where it may not be connected to; None where it may."""
    carried = carried_ipv4(address)
    if carried is not None:
        found = refusal(carried, allow_private=allow_private)
        return found and f"{found}, inside of an IPv6 address"
    for kind, networks in _NEVER:
        if _within(address, networks):
            return kind
    if _within(address, _PRIVATE):
        return None if allow_private else "an address of a private network"
    if _within(address, _RESERVED) or (isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6):
        return "a reserved address"
    return None


def carried_ipv4(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for: IPv4-mapped, 6to4 or NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _within(address: Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)
