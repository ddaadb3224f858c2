"""A cursor as text: its position, and the lengths of the runs below it.

Runs are counted downwards from the position: delivered, gap, delivered, gap, … "120 but 6" is 120
with the runs 114 and 1.

    120          no gaps
    120!114,1    the runs in decimals, for a person to read: up to `PLAIN_GAPS` gaps
    120!-…       the runs in bits, six a character, where there are more gaps

A token is at most `MAX_TOKEN_CHARS` of `[A-Za-z0-9_!,-]`. In bits that is enough for the newest
6,000 ids where 30 % of them are missing at random, and for the newest 60,000 where 1 % are.

This module is pure. A gap is a range of ids.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate, cycle, pairwise
from operator import sub

from poller.ids.ranges import Range

MAX_TOKEN_CHARS = 1000  # with the epoch and its dot a token stays within 1,024 bytes
ROOM_CHARS = 150  # left for the rows of a batch, and the gaps between them
FEW_GAPS = 64  # so few nearly always fit; `format_token()` looks again
PLAIN_GAPS = 8  # up to so many gaps a token is a list that a person can read

_MOST_GAPS = 3 * MAX_TOKEN_CHARS  # two runs each, and a run takes at least one bit
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # as base64 has them
_VALUE = {char: value for value, char in enumerate(_DIGITS)}
_remembered = lru_cache(maxsize=4096)  # the next row's token has nearly all runs of this one's
# ASCII digits only: int() also takes "٣", "1_000", "+5" and blanks.
_TOKEN = re.compile(
    r"(?P<position>0|[1-9][0-9]{0,18})"
    r"(?:!(?:(?P<decimals>[1-9][0-9]{0,18}(?:,[1-9][0-9]{0,18})*)"
    r"|-(?P<bits>[A-Za-z0-9_-]{3,})))?",
    re.ASCII,
)


def format_token(position: int, gaps: Sequence[Range]) -> str:
    """The token of all ids up to `position` but those in `gaps`.

    No two `gaps` touch each other or the position. If the text is too long, the nearest gaps are
    merged, as few as possible: the token then holds less than it was given, so that a client may
    see a row twice but never misses one.
    """
    text = _text(position, gaps)
    if len(text) <= MAX_TOKEN_CHARS:
        return text
    return _text(position, _merged(position, gaps, MAX_TOKEN_CHARS))


def nameable_gaps(position: int, gaps: Sequence[Range]) -> Sequence[Range]:
    """`gaps`, merged if their token would leave no room for another batch of rows.

    Merging takes milliseconds: too long to repeat for every row.
    """
    few = len(gaps) <= FEW_GAPS
    if few or len(_text(position, gaps)) <= MAX_TOKEN_CHARS - ROOM_CHARS:
        return gaps
    return _merged(position, gaps, MAX_TOKEN_CHARS - ROOM_CHARS)


def parse_token(token: str) -> tuple[int, list[Range]]:
    """The position and the gaps of a token. Raises ValueError if it is malformed.

    The gaps lie below the position, which may be greater than any id.
    """
    match = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_CHARS else None
    if match is None:
        raise ValueError("not a cursor token")
    if match["decimals"]:
        runs = [int(run) for run in match["decimals"].split(",")]
    else:
        runs = _parse_bits(match["bits"]) if match["bits"] else []
    position = int(match["position"])
    return position, _gaps_of_runs(position, runs)


def _text(position: int, gaps: Sequence[Range]) -> str:
    if not gaps:
        return str(position)
    runs = _runs(position, gaps)
    if len(gaps) <= PLAIN_GAPS:
        return f"{position}!{','.join(map(str, runs))}"
    return f"{position}!{_format_bits(runs)}"


def _merged(position: int, gaps: Sequence[Range], max_chars: int) -> Sequence[Range]:
    """`gaps` with the nearest neighbours merged, as few as give a token that fits."""
    spaces = [right[0] - left[1] for left, right in pairwise(gaps)]
    nearest_first = sorted(range(1, len(gaps)), key=lambda index: spaces[index - 1])

    def merged(times: int) -> list[Range]:
        starts = [0, *sorted(nearest_first[times:]), len(gaps)]
        return [(gaps[first][0], gaps[after - 1][1]) for first, after in pairwise(starts)]

    def fits(times: int) -> bool:
        return len(_text(position, merged(times))) <= max_chars

    trials = range(len(gaps) - 1)  # one gap, merged from all, needs none
    return merged(bisect_left(trials, True, lo=max(0, len(gaps) - _MOST_GAPS), key=fits))


# -- runs -----------------------------------------------------------------------------------


def _runs(position: int, gaps: Sequence[Range]) -> list[int]:
    runs, top = [], position
    for low, high in reversed(gaps):
        runs.append(top - high)
        top = low - 1
        runs.append(high - top)
    return runs


def _gaps_of_runs(position: int, runs: Sequence[int]) -> list[Range]:
    if len(runs) % 2 or not all(runs) or sum(runs) > position:
        raise ValueError("the runs do not fit below the position")
    ends = list(accumulate(runs, sub, initial=position))
    gaps = [(low + 1, high) for high, low in zip(ends[1::2], ends[2::2], strict=True)]
    return gaps[::-1]


# -- bits: a Golomb-Rice code, near the shortest there is where gaps are random -------------
#
# A run is its class in ones, a zero, and its place in the class in as many bits as that takes. With
# a power of 1 the classes are 1-2, 3-4, 5-6, 7-10, 11-18, 19-34, …: three of 2^power lengths, then
# each twice as wide as the one before, so that a run of 10^18 takes 120 bits and not 10^17. The
# powers of delivered runs and of gaps are the first two digits of the text. Ones fill the last
# character; without a zero they are no code.


def _format_bits(runs: Sequence[int]) -> str:
    powers = _power(runs[::2]), _power(runs[1::2])
    bits = "".join(map(_bits, runs, cycle(powers)))
    filled = bits.ljust(len(bits) + -len(bits) % 24, "1")  # three bytes are four characters
    text = urlsafe_b64encode(int(filled, 2).to_bytes(len(filled) // 8, "big")).decode()
    return f"-{_DIGITS[powers[0]]}{_DIGITS[powers[1]]}{text[: -(-len(bits) // 6)]}"


def _power(runs: Sequence[int]) -> int:
    """That of the middle run, which a few runs of any length do not move."""
    return sorted(runs)[len(runs) // 2].bit_length() - 1


@cache
def _classes(power: int) -> tuple[Sequence[int], Sequence[int]]:
    """Of each class the lowest run length, and the number of bits that tell its lengths apart."""
    widths = (power, power, *range(power, 64))
    return tuple(accumulate((1 << width for width in widths[:-1]), initial=1)), widths


@_remembered
def _bits(run: int, power: int) -> str:
    lowest, widths = _classes(power)
    ones = bisect_right(lowest, run) - 1
    return "1" * ones + f"{run - lowest[ones]:0{1 + widths[ones]}b}"


def _parse_bits(text: str) -> list[int]:
    both = [_classes(_VALUE[char]) for char in text[:2]]
    codes = text[2:]
    filled = urlsafe_b64decode(codes.ljust(len(codes) + -len(codes) % 4, "_"))
    bits = f"{int.from_bytes(filled, 'big'):0{8 * len(filled)}b}"[: 6 * len(codes)]
    runs: list[int] = []
    at = 0
    while (zero := bits.find("0", at)) >= 0:
        lowest, widths = both[len(runs) % 2]
        ones = zero - at
        if ones >= len(widths):
            raise ValueError("a run is longer than any id")
        at = zero + 1 + widths[ones]
        runs.append(lowest[ones] + int(bits[zero:at], 2))
    if not 0 <= len(bits) - at < 6:
        raise ValueError("the last run is cut off, or more than one character filled")
    return runs
