"""What people write, made safe to show to others. Pure: knows no Flask and no database.

Refused: NUL (PostgreSQL stores none) and lone surrogates (no UTF-8 for them).
Removed without a word: control characters except line feed and tab, and the bidirectional
embeddings, overrides and isolates, which turn the text around them. The marks LRM, RLM and ALM
stay: Hebrew and Arabic keyboards type them, and they reach no further than a letter does.
Capped: combining marks on one character, so that text does not bleed over its neighbours, and
empty lines in a row.
In a name nothing stays that cannot be seen, or two names would look the same and be different. Only
joiners and variation selectors do, where writing needs them: in scripts that join, and in emoji.
Rows that other tools write into the table do not come by here; the page contains those by itself.
"""

from __future__ import annotations

import re
import unicodedata

MOST_MARKS = 8  # on one character; Vietnamese needs 2, Biblical Hebrew up to 5
MOST_LINE_FEEDS = 3  # two empty lines in a row
# So many times as long as allowed may a text be before it is cleaned, with CRLF and accents that
# are characters of their own. A longer one is refused unread: 62 KB of marks took seconds to sort.
MOST_RAW = 4

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BLANK_RUN = re.compile(rf"\n{{{MOST_LINE_FEEDS + 1},}}")
# Letters and symbols by their category that nevertheless show nothing.
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN_MARKS = frozenset("\u034f\u180b\u180c\u180d\u180f")
_JOINERS = "\u200c\u200d"
_JOINING = re.compile(
    "[\u0590-\u109f\u1780-\u18af\u1900-\u1cff\u2190-\u2bff\ufe0f\U00010a00-\U0001faff]"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


class UnstorableTextError(ValueError):
    """Text with a NUL or a lone surrogate."""


def clean_line(text: str) -> str:
    """One line, without white space around it. Raises UnstorableTextError."""
    return " ".join(_normal(_seen(_storable(text))).split())


def clean_text(text: str) -> str:
    """Lines ended by LF, without blank ones around them. Raises UnstorableTextError."""
    lines = [line.rstrip() for line in _normal(_storable(text)).split("\n")]
    return _BLANK_RUN.sub("\n" * MOST_LINE_FEEDS, "\n".join(lines)).strip("\n")


def is_blank(text: str) -> bool:
    """Whether nothing in it can be seen: white space, zero-width characters, marks alone."""
    return not any(
        unicodedata.category(char)[0] in "LNPS" or unicodedata.category(char) in ("Cn", "Co")
        for char in text
        if char not in _FILLERS
    )


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise UnstorableTextError("text with a NUL or half a character")
    return _CONTROL.sub("", _LINE_END.sub("\n", text))


def _normal(text: str) -> str:
    """Composed. To sort the marks on one character takes the square of their number, so they are
    capped before it; what it takes apart may have more of them again."""
    return _cap_marks(unicodedata.normalize("NFC", _cap_marks(text)))


def _seen(text: str) -> str:
    """Without what cannot be seen."""
    kept: list[str] = []
    for char in text:
        before = kept[-1] if kept else ""
        if char in _JOINERS:
            stays = bool(_JOINING.match(before))
        elif _SELECTORS.match(char):
            stays = unicodedata.category(before or " ")[0] == "S"
        else:
            unseen = char in _FILLERS or char in _UNSEEN_MARKS
            stays = not unseen and unicodedata.category(char) != "Cf"
        if stays:
            kept.append(char)
    return "".join(kept).rstrip(_JOINERS)


def _cap_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        if marks <= MOST_MARKS:
            kept.append(char)
    return "".join(kept)
