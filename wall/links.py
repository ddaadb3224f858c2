"""Addresses in a post as links. Pure; `static/links.js` does the same, as a test shows.

Only http and https, only a host in ASCII without a name before it (`bank.example@evil.example`),
since one in another script can look like another host. What ends a sentence ends the address, and
so does a bracket that was opened before it. The text stays whole: scheme and middle of a long
address are there, but not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup, escape

REL = "nofollow ugc noopener"
LONGEST_SHOWN = 48  # characters, without the scheme
HEAD, TAIL = 28, 16  # of a longer one these are shown, and all of its host

_LETTER = "A-Za-z0-9_@\u00a1-\u1fff\u3041-\ud7ff\uf900-\ufdff"
# Spaces, quotes, what cannot be seen or turns the text, CJK punctuation; and emoji, which are two
# characters in JavaScript.
_NOT_IN_PATH = (
    '\x00-\x20"<>\x7f-\xa0\u1680\u180e\u2000-\u206f\u3000-\u303f\ud800-\udfff\ufe00-\ufe0f\ufeff'
    "\uff00-\uff0f\U00010000-\U0010ffff"
)
_URL = re.compile(
    rf"(?<![{_LETTER}])([Hh][Tt][Tt][Pp][Ss]?://)"
    rf"([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?)(?![.:_-]*[{_LETTER}%])"
    rf"((?:[/?#][^{_NOT_IN_PATH}]*)?)"
)
_OPENED_BY = {")": "(", "]": "[", "}": "{"}


class Link(NamedTuple):
    """An address, as written."""

    scheme: str
    host: str
    path: str

    @property
    def url(self) -> str:
        return "".join(self)


def pieces(text: str) -> Iterator[str | Link]:
    """The text in order, with a `Link` for each address in it. Together they are the text."""
    at = 0
    for found in _URL.finditer(text):
        link = Link(found[1], found[2], _without_end(found[3]))
        if found.start() > at:
            yield text[at : found.start()]
        yield link
        at = found.start() + len(link.url)
    if at < len(text):
        yield text[at:]


def linked(text: str) -> Markup:
    """As HTML."""
    return Markup("").join(  # of escaped parts
        _anchor(piece) if isinstance(piece, Link) else escape(piece) for piece in pieces(text)
    )


def _anchor(link: Link) -> Markup:
    shown = link.host + link.path
    head = max(HEAD, len(link.host) + 1)
    parts = [escape(shown)]
    if len(shown) > max(LONGEST_SHOWN, head + TAIL):
        parts = [escape(shown[:head]), _unseen("cut", shown[head:-TAIL]), escape(shown[-TAIL:])]
    return Markup('<a href="{}" title="{}" rel="{}">{}{}</a>').format(
        link.url, link.url, REL, _unseen("scheme", link.scheme), Markup("").join(parts)
    )


def _unseen(kind: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(kind, text)


def _without_end(path: str) -> str:
    """Each bracket is counted once: a row may be as long as its writer likes."""
    spare = {end: path.count(end) - path.count(begin) for end, begin in _OPENED_BY.items()}
    at = len(path)
    while at:
        last = path[at - 1]
        if spare.get(last, 0) > 0:
            spare[last] -= 1
        elif last not in ".,:;!?'*~":
            break
        at -= 1
    return path[:at]
