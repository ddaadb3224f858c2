"""Who is counted as one client."""

import pytest

from poller.access.address import client_network, single_client


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("a proxy's joke", "unknown"),
        ("unknown", "unknown"),
        ("198.51.100.7:5555", "198.51.100.7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("[2001:db8:1:2::1]:99", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("[::ffff:198.51.100.7]:5555", "198.51.100.7"),
        ("[2001:db8::1", "unknown"),
        ("[]", "unknown"),
        ("198.51.100.7:x", "unknown"),
        (":5555", "unknown"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str | None, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "127.0.0.1:80", "[::1]:80", "", None],
)
def test_loopback_and_no_address_may_be_everybody(address: str | None) -> None:
    assert single_client(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "198.51.100.7",
        "10.0.0.7",
        "2001:db8::1",
        "fd00::1",
        "198.51.100.7:5555",
        "[2001:db8::1]:99",
        "unknown",
        "_hidden",
        "198.51.100.7, 10.0.0.7",
    ],
)
def test_any_other_address_is_a_client(address: str) -> None:
    """Also a word in place of one, or it would lift the cap for everybody who sends it."""
    assert single_client(address) == client_network(address)
