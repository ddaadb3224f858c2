"""Which pages may read: each case as a browser says it."""

import pytest

from poller.access.origins import Asking, Origins, Standing

SHOP = "https://shop.example"
FETCH = {"mode": "cors", "destination": "empty"}
LISTED = Origins([SHOP, "http://localhost:5173", "capacitor://localhost"])


def asking(**said: object) -> Asking:
    return Asking(**{"host": "rows.example", **said})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        # no browser
        ({}, "ours"),
        ({"cookies": True}, "ours"),
        # our own page, an address that was typed, a link that was followed
        ({"site": "same-origin", **FETCH, "cookies": True}, "ours"),
        ({"site": "same-origin", "origin": "https://rows.example", **FETCH}, "ours"),
        ({"site": "none", "mode": "navigate", "destination": "document"}, "ours"),
        ({"site": "cross-site", "mode": "navigate", "destination": "document"}, "ours"),
        # a page that is listed, whatever it sends
        ({"site": "cross-site", "origin": SHOP, **FETCH}, "listed"),
        ({"site": "cross-site", "origin": SHOP, **FETCH, "cookies": True}, "listed"),
        ({"site": "same-site", "origin": "http://localhost:5173", **FETCH}, "listed"),
        ({"origin": "capacitor://localhost"}, "listed"),
        ({"origin": SHOP, "cookies": True}, "listed"),
        # one that is not, near as it may look
        ({"site": "cross-site", "origin": "https://evil.example", **FETCH}, "foreign"),
        ({"site": "same-site", "origin": "https://user.rows.example", **FETCH}, "foreign"),
        ({"site": "same-site", **FETCH, "cookies": True}, "foreign"),
        ({"site": "cross-site", "origin": "null", **FETCH}, "foreign"),
        ({"site": "cross-site", "origin": SHOP + ".evil.example", **FETCH}, "foreign"),
        ({"site": "cross-site", "origin": "http://shop.example", **FETCH}, "foreign"),
        ({"site": "cross-site", "origin": SHOP + ":444", **FETCH}, "foreign"),
        ({"site": "cross-site", "origin": "HTTPS://SHOP.EXAMPLE", **FETCH}, "foreign"),
        # an image, a script, a frame: they carry no Origin
        ({"site": "cross-site", "mode": "no-cors", "destination": "image"}, "foreign"),
        ({"site": "cross-site", "mode": "no-cors", "destination": "script"}, "foreign"),
        ({"site": "cross-site", "mode": "navigate", "destination": "iframe"}, "foreign"),
        # an older browser
        ({"origin": "https://rows.example", "cookies": True}, "ours"),
        ({"origin": "https://evil.example"}, "foreign"),
        ({"origin": "null"}, "foreign"),
        ({"origin": "http://["}, "foreign"),
        # a signed address is good in any page, and in a listed one for cookies, too
        ({"site": "cross-site", "origin": "null", **FETCH, "signed": True}, "any"),
        ({"site": "cross-site", "origin": SHOP, **FETCH, "signed": True}, "listed"),
        ({"site": "cross-site", "cookies": True, "signed": True}, "any"),
    ],
)
def test_standing(said: dict[str, object], standing: Standing) -> None:
    assert LISTED.standing(asking(**said)) == standing


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ({"site": "cross-site", "origin": "https://evil.example", **FETCH}, "any"),
        ({"site": "cross-site", "origin": "null", **FETCH}, "any"),
        ({"site": "cross-site", "origin": "null", **FETCH, "cookies": True}, "foreign"),
        ({"site": "cross-site", "origin": SHOP, **FETCH, "cookies": True}, "listed"),
        ({"site": "same-origin", **FETCH}, "ours"),
    ],
)
def test_any_page_reads_without_cookies(said: dict[str, object], standing: Standing) -> None:
    assert Origins(["*", SHOP]).standing(asking(**said)) == standing
    if standing != "listed":
        assert Origins("*").standing(asking(**said)) == standing


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("rows.example", "https://rows.example", True),  # TLS ends at the proxy
        ("rows.example:443", "https://rows.example", True),
        ("rows.example", "http://rows.example:80", True),
        ("ROWS.example", "https://rows.example", True),
        ("localhost:8000", "http://localhost:8000", True),
        ("localhost:8000", "http://localhost:5173", False),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("rows.example", "https://rows.example.evil", False),
        ("rows.example", "https://rows.example@evil", False),
        ("", "https://rows.example", False),
        ("rows.example/", "null", False),
    ],
)
def test_an_older_browsers_origin_is_compared_with_the_host(
    host: str, origin: str, ours: bool
) -> None:
    assert (Origins().standing(Asking(origin=origin, host=host)) == "ours") == ours


@pytest.mark.parametrize(
    "name",
    [
        "null",
        "shop.example",
        "https://shop.example/",
        "https://Shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://*.shop.example",
        "https://müller.example",
        "https://a@shop.example",
        "https://shop.example\n",
        "",
    ],
)
def test_what_no_browser_sends_is_refused_in_words(name: str) -> None:
    with pytest.raises(ValueError, match="not what a browser sends"):
        Origins([name])


def test_one_alone_may_be_written_without_a_list() -> None:
    assert Origins(SHOP).listed == {SHOP}
    assert Origins("*").any
    assert not Origins().any
