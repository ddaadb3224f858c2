"""Addresses, and what of them is shown."""

from __future__ import annotations

import pytest

from poller.probing.address import Address


def test_a_secret_is_sent_and_not_shown() -> None:
    address = Address.of("https://ann:s%20cret@shop.example/stream/orders?signed=abc")
    assert address.shown == "https://shop.example/stream/orders?…"
    assert address.target == "/stream/orders?signed=abc"
    assert address.authorization == "Basic YW5uOnMgY3JldA=="


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("http://shop.example", "http://shop.example", "/"),
        ("HTTP://Shop.Example:80/a b", "http://shop.example", "/a%20b"),
        ("https://[::1]:8443/s?x=%20&y=é", "https://[::1]:8443", "/s?x=%20&y=%C3%A9"),
    ],
)
def test_what_is_asked_for(text: str, origin: str, target: str) -> None:
    address = Address.of(text)
    assert (address.origin, address.target) == (origin, target)


@pytest.mark.parametrize(
    "text", ["shop.example/stream", "ftp://shop.example", "http://", "http://x:99999/"]
)
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (address|number)"):
        Address.of(text)


def test_a_refusal_does_not_show_a_password() -> None:
    with pytest.raises(ValueError, match="shop") as refused:
        Address.of("ftp://ann:secret@shop.example/?token=secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("location", "origin", "authorization"),
    [
        ("/other", "http://shop.example", "Basic YTpi"),
        ("https://shop.example/other", "https://shop.example", ""),
        ("//evil.example/", "http://evil.example", ""),
    ],
)
def test_a_login_does_not_follow_to_another_host(
    location: str, origin: str, authorization: str
) -> None:
    there = Address.of("http://a:b@shop.example/stream").joined(location)
    assert (there.origin, there.authorization) == (origin, authorization)


def test_a_parameter_is_added_to_others() -> None:
    assert Address.of("http://x/s").with_query("after", "a&b").target == "/s?after=a%26b"
    assert Address.of("http://x/s?a=1").with_query("after", "2").target == "/s?a=1&after=2"


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.9", True), ("[::1]", True), ("localhost", True), ("8.8.8.8", False)],
)
def test_this_machine_is_known(host: str, here: bool) -> None:
    assert Address.of(f"http://{host}/").is_here == here
