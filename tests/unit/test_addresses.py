"""Whose address counts, with proxies in between that are trusted or not."""

from ipaddress import ip_network

import pytest

from orchestrator.api.addresses import client_address

INSIDE = (ip_network("172.18.0.0/16"), ip_network("10.0.0.5/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("172.18.0.3", ["1.2.3.4"], "1.2.3.4"),
        ("172.18.0.3", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("172.18.0.3", ["6.6.6.6", "1.2.3.4", "10.0.0.5"], "1.2.3.4"),
        ("172.18.0.3", ["10.0.0.5"], "10.0.0.5"),
        ("172.18.0.3", ["1.2.3.4", "no address"], "172.18.0.3"),
        ("172.18.0.3", [], "172.18.0.3"),
        ("172.18.0.3", ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_the_nearest_address_that_nobody_vouches_for_counts(peer: str, forwarded: list[str], counts: str) -> None:
    assert client_address(peer, forwarded, INSIDE) == counts


def test_without_trusted_proxies_nothing_that_is_told_counts() -> None:
    assert client_address("172.18.0.3", ["1.2.3.4"], ()) == "172.18.0.3"
