"""A cursor as text: its position, and the lengths of the runs below it.

Runs are counted downwards from the position: delivered, gap, delivered, gap, … "120 but 6" is 120
with the runs 114 and 1.

    120          no gaps
    120!114,1    the runs in decimals, for a person to read: up to `PLAIN_GAPS` gaps
    120!-…       the runs in bits, six a character, where there are more gaps
    120!-…!…     and then the set's mark: the gaps say less than the set holds (`marks.py`)

A token is at most `MAX_TOKEN_CHARS` of `[A-Za-z0-9_!,-]`. In bits that is enough for the newest
6,000 ids where 30 % of them are missing at random, and for the newest 60,000 where 1 % are.

This module is pure. A gap is a range of ids.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from poller.ids.marks import mark_text, parse_mark
from poller.ids.ranges import Range
from poller.ids.runs import (
    CHAR_BITS,
    bits_text,
    codes,
    gaps_of,
    parse_runs,
    powers_for,
    powers_text,
    runs_of,
)

MAX_TOKEN_CHARS = 1000  # with the epoch and its dot a token stays within 1,024 bytes
ROOM_CHARS = 150  # left for the rows of a batch, and the gaps between them
# After gaps were merged: so that this is not done for every batch.
CHARS_AFTER_MERGE = MAX_TOKEN_CHARS * 3 // 4
FEW_GAPS = 64  # so few nearly always fit; `format_token()` looks again
PLAIN_GAPS = 8  # up to so many gaps a token is a list that a person can read

_MOST_GAPS = 3 * MAX_TOKEN_CHARS  # two runs each, and a run takes at least one bit
# ASCII digits only: int() also takes "٣", "1_000", "+5" and blanks.
_TOKEN = re.compile(
    r"(?P<position>0|[1-9][0-9]{0,18})"
    r"(?:!(?:(?P<decimals>[1-9][0-9]{0,18}(?:,[1-9][0-9]{0,18})*)"
    r"|-(?P<bits>[A-Za-z0-9_-]{3,}))(?:!(?P<mark>[A-Za-z0-9_-]{11}))?)?",
    re.ASCII,
)


class Parsed(NamedTuple):
    """What a token says. The gaps lie below the position, which may be greater than any id."""

    position: int
    gaps: list[Range]
    mark: int | None  # if the set holds more than that


def format_token(position: int, gaps: Sequence[Range], mark: int | None = None) -> str:
    """The token of all ids up to `position` but those in `gaps`; with the mark of another set, if
    these name less than it holds.

    No two `gaps` touch each other or the position. If the text is too long, the nearest gaps are
    merged, as few as possible: the token then holds less than it was given, so that a client may
    see a row twice but never misses one.
    """
    end = "" if mark is None else f"!{mark_text(mark)}"
    text = _text(position, gaps)
    if len(text) > MAX_TOKEN_CHARS - len(end):
        text = _text(position, _merged(position, gaps, MAX_TOKEN_CHARS - len(end)))
    return text + end if gaps else text


def nameable_gaps(position: int, gaps: Sequence[Range]) -> Sequence[Range]:
    """`gaps`, merged if their token would leave no room for another batch of rows."""
    few = len(gaps) <= FEW_GAPS
    if few or _chars(position, gaps) <= MAX_TOKEN_CHARS - ROOM_CHARS:
        return gaps
    return _merged(position, gaps, CHARS_AFTER_MERGE)


def is_short(position: int, gaps: Sequence[Range]) -> bool:
    """Whether the token of these gaps is as short as if they had been merged."""
    return len(gaps) <= _MOST_GAPS and _chars(position, gaps) <= CHARS_AFTER_MERGE


def whole_text(position: int, gaps: Sequence[Range]) -> str:
    """As a token, however long: it says all of the set. For other processes, not for clients."""
    return _text(position, gaps)


def parse_token(token: str) -> Parsed:
    """What a token says. Raises ValueError if it is malformed."""
    if len(token) > MAX_TOKEN_CHARS:
        raise ValueError("not a cursor token")
    return parse_whole(token)


def parse_whole(token: str) -> Parsed:
    """The same, however long it is."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise ValueError("not a cursor token")
    if match["decimals"]:
        runs = [int(run) for run in match["decimals"].split(",")]
    else:
        runs = parse_runs(match["bits"]) if match["bits"] else []
    position = int(match["position"])
    mark = parse_mark(match["mark"]) if match["mark"] else None
    return Parsed(position, gaps_of(position, runs), mark)


def _text(position: int, gaps: Sequence[Range]) -> str:
    if not gaps:
        return str(position)
    runs = runs_of(position, gaps)
    if len(gaps) <= PLAIN_GAPS:
        return f"{position}!{','.join(map(str, runs))}"
    powers = powers_for(runs)
    return f"{position}!-{powers_text(powers)}{bits_text(''.join(codes(runs, powers)))}"


def _chars(position: int, gaps: Sequence[Range]) -> int:
    """How long their text is, in bits."""
    runs = runs_of(position, gaps)
    bits = sum(map(len, codes(runs, powers_for(runs)))) if runs else 0
    return len(f"{position}!-AA") + -(-bits // CHAR_BITS)


def _merged(position: int, gaps: Sequence[Range], max_chars: int) -> Sequence[Range]:
    """`gaps` with the nearest neighbours merged, as few as give a token that fits."""
    spaces = [right[0] - left[1] for left, right in pairwise(gaps)]
    nearest_first = sorted(range(1, len(gaps)), key=lambda index: spaces[index - 1])

    def merged(times: int) -> list[Range]:
        starts = [0, *sorted(nearest_first[times:]), len(gaps)]
        return [(gaps[first][0], gaps[after - 1][1]) for first, after in pairwise(starts)]

    def fits(times: int) -> bool:
        return _chars(position, merged(times)) <= max_chars

    trials = range(len(gaps) - 1)  # one gap, merged from all, needs none
    return merged(bisect_left(trials, True, lo=max(0, len(gaps) - _MOST_GAPS), key=fits))
