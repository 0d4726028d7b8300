"""Which IP addresses count as public, which as a site's own, and which are never to be reached."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.addresses import carried_ipv4, refusal

PUBLIC = [
    "1.1.1.1",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "223.255.255.255",
]
PUBLIC += ["11.0.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "169.253.255.255"]
PUBLIC += ["2606:4700:4700::1111", "2a00:1450:4001::", "2001:200::", "2001:4860:4860::8888", "3ffe:ffff::"]
PUBLIC += ["2002:0101:0101::1", "64:ff9b::1.1.1.1", "::ffff:1.1.1.1"]

PRIVATE = ["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"]
PRIVATE += ["100.64.0.0", "100.127.255.255", "198.18.0.0", "198.19.255.255"]
PRIVATE += ["192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::1", "3fff::1", "fc00::1", "fd12:3456::1"]
PRIVATE += ["::ffff:10.0.0.1", "::ffff:203.0.113.9", "2002:0a00:0001::", "2002:c0a8:0101::1", "64:ff9b::192.168.0.1"]

NEVER = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "169.254.0.1", "169.254.169.254", "224.0.0.1"]
NEVER += ["239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.192", "192.88.99.1"]
NEVER += ["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"]  # where clouds keep secrets
NEVER += ["::", "::1", "::127.0.0.1", "::1.1.1.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"]
NEVER += ["2002:7f00:0001::", "2002:a9fe:a9fe::", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1"]
NEVER += ["fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "100::1", "2001::1", "2001:10::1"]
NEVER += ["4000::1", "e000::1", "1::1", "fe00::1", "::ffff:0:127.0.0.1", "5f00::1"]

ADDRESSES = st.ip_addresses()


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_fine_for_everybody(text: str) -> None:
    for allow_private in (False, True):
        assert refusal(ipaddress.ip_address(text), allow_private=allow_private) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_a_sites_own_address_is_fine_only_where_the_entry_says_so(text: str) -> None:
    refused = refusal(ipaddress.ip_address(text), allow_private=False)
    assert refused is not None
    assert refused.startswith("an address of a private network")
    assert refusal(ipaddress.ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_fine(text: str) -> None:
    for allow_private in (False, True):
        assert refusal(ipaddress.ip_address(text), allow_private=allow_private) is not None


def test_the_refusal_says_what_kind_of_address_it_is() -> None:
    kinds = {
        "127.0.0.1": "a loopback address",
        "169.254.169.254": "a link-local address",
        "ff02::1": "a multicast address",
        "fd00:ec2::254": "a cloud's metadata service",
        "0.0.0.0": "a reserved address",
        "::ffff:127.0.0.1": "a loopback address, inside of an IPv6 address",
    }
    for text, kind in kinds.items():
        assert refusal(ipaddress.ip_address(text), allow_private=True) == kind


@given(ADDRESSES)
def test_what_is_fine_is_global_by_the_standard_library_too(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if refusal(address, allow_private=False) is None:
        assert (carried_ipv4(address) or address).is_global


@given(ADDRESSES)
def test_allowing_private_networks_never_allows_the_host_itself(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if refusal(address, allow_private=True) is None:
        assert not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
    else:
        assert refusal(address, allow_private=False) is not None


@given(st.ip_addresses(v=4), st.booleans())
def test_an_address_is_judged_alike_inside_of_ipv6(address: ipaddress.IPv4Address, allow_private: bool) -> None:
    plain = refusal(address, allow_private=allow_private)
    number = int(address)
    for carrier in ((0xFFFF << 32) | number, (0x2002 << 112) | (number << 80), (0x64FF9B << 96) | number):
        carried = refusal(ipaddress.IPv6Address(carrier), allow_private=allow_private)
        assert (carried is None) == (plain is None)
