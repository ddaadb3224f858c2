"""Addresses in posts: which become links, and that nothing else does."""

import re

import pytest

from wall.links import Link, linked, pieces

TEXTS: dict[str, list[str]] = {
    "see https://a.b/c?x=1&y=2.": ["https://a.b/c?x=1&y=2"],
    "HTTP://EXAMPLE.org:80/A, and more": ["HTTP://EXAMPLE.org:80/A"],
    "(https://en.wikipedia.org/wiki/Row_(database))": [
        "https://en.wikipedia.org/wiki/Row_(database)"
    ],
    "“https://example.org/ü”。": ["https://example.org/ü"],
    "https://example.org。https://example.com，": ["https://example.org", "https://example.com"],
    "two\nhttp://a.b/\nlines": ["http://a.b/"],
    "http://intranet/?": ["http://intranet/"],
    "https://a.b/#x*~!": ["https://a.b/#x"],
    "https://a.b/👍": ["https://a.b/"],
    "http://127.0.0.1:8000/posts/1": ["http://127.0.0.1:8000/posts/1"],
    "no scheme: example.org, www.example.org, //example.org": [],
    "javascript:alert(1) data:text/html,x ftp://a.b file:///etc/passwd": [],
    "http:// https:/// http://-/ http://?": [],
    "http://bank.example@evil.example http://bank.example:pw@evil.example": [],
    "http://bank.example%40evil.example": [],
    "https://аpple.com https://exаmple.org/x": [],
    "xhttps://a.b éhttps://a.b _http://a.b": [],
}


@pytest.mark.parametrize("text", TEXTS)
def test_addresses_are_found_and_the_text_stays_whole(text: str) -> None:
    found = list(pieces(text))
    assert [piece.url for piece in found if isinstance(piece, Link)] == TEXTS[text]
    assert "".join("".join(piece) for piece in found) == text


def plain(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


def test_a_link_says_that_nobody_vouches_for_it() -> None:
    assert linked('a <b> https://a.b/?x="&y <i>') == (
        'a &lt;b&gt; <a href="https://a.b/?x=" title="https://a.b/?x=" '
        'rel="nofollow ugc noopener"><span class="scheme">https://</span>a.b/?x=</a>&#34;&amp;y '
        "&lt;i&gt;"
    )
    assert linked("https://a.b/'&amp;x<").startswith('<a href="https://a.b/&#39;&amp;amp;x"')


def test_a_long_address_is_cut_in_the_middle_and_never_in_its_host() -> None:
    host = "accounts.bank.example." + "a" * 30 + ".evil.example"
    html = str(linked(f"https://{host}/{'b' * 60}"))
    shown, cut = re.findall(r'</span>([^<]+)<span class="cut">([^<]+)</span>', html)[0]
    assert shown == f"{host}/"
    assert (set(cut), plain(html)) == ({"b"}, f"https://{host}/{'b' * 60}")
    assert "cut" not in linked("https://example.org/" + "b" * 30)


@pytest.mark.parametrize(
    "text", ["http://" + "a" * 1993 + "é", "http://a/" + ")" * 1991, "http://" * 285]
)
def test_no_text_takes_long(text: str) -> None:
    """One that takes the square of its length, or more, would not end in a test's time."""
    for _ in range(20):
        assert plain(str(linked(text))) == text


def test_a_row_that_was_not_posted_may_be_longer_than_any_post() -> None:
    """Nobody bounds what is written into the table itself."""
    text = "http://a/" + ")" * 1_000_000
    assert [*pieces(text)] == [Link("http://", "a", "/"), ")" * 1_000_000]
