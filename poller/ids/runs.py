"""The runs below a position, delivered and gap in turns, and their code in bits.

A position and its gaps are a list of run lengths, counted downwards. In a token they are written in
a Golomb-Rice code, near the shortest there is where gaps are random:

A run is its class in ones, a zero, and its place in the class in as many bits as that takes. With
a power of 1 the classes are 1-2, 3-4, 5-6, 7-10, 11-18, 19-34, …: three of 2^power lengths, then
each twice as wide as the one before, so that a run of 10^18 takes 120 bits and not 10^17. The
powers of delivered runs and of gaps are the first two digits of the text. Ones fill the last
character; without a zero they are no code.

This module is pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate, cycle
from operator import sub

from poller.ids.ranges import Range

CHAR_BITS = 6

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # as base64 has them
_VALUE = {char: value for value, char in enumerate(_DIGITS)}
_remembered = lru_cache(maxsize=4096)  # most runs are like others

Powers = tuple[int, int]  # of delivered runs, and of gaps


def runs_of(position: int, gaps: Sequence[Range]) -> list[int]:
    """The lengths of the runs from `position` down to the lowest gap."""
    runs, top = [], position
    for low, high in reversed(gaps):
        runs.append(top - high)
        top = low - 1
        runs.append(high - top)
    return runs


def gaps_of(position: int, runs: Sequence[int]) -> list[Range]:
    """The gaps of these runs. Raises ValueError where they do not fit below `position`."""
    if len(runs) % 2 or not all(runs) or sum(runs) > position:
        raise ValueError("the runs do not fit below the position")
    ends = list(accumulate(runs, sub, initial=position))
    gaps = [(low + 1, high) for high, low in zip(ends[1::2], ends[2::2], strict=True)]
    return gaps[::-1]


# -- bits -----------------------------------------------------------------------------------


def powers_for(runs: Sequence[int]) -> Powers:
    """Those with which `runs`, at least two, take few bits."""
    return _power(runs[::2]), _power(runs[1::2])


def codes(runs: Sequence[int], powers: Powers) -> list[str]:
    """Each run in zeros and ones."""
    return list(map(code, runs, cycle(powers)))


@_remembered
def code(run: int, power: int) -> str:
    """One run in zeros and ones."""
    lowest, widths = _classes(power)
    ones = bisect_right(lowest, run) - 1
    return "1" * ones + f"{run - lowest[ones]:0{1 + widths[ones]}b}"


def powers_text(powers: Powers) -> str:
    """The two characters before the codes."""
    return _DIGITS[powers[0]] + _DIGITS[powers[1]]


def bits_text(bits: str) -> str:
    """Zeros and ones as characters, `CHAR_BITS` in each; ones fill the last."""
    filled = bits.ljust(len(bits) + -len(bits) % 24, "1")  # three bytes are four characters
    text = urlsafe_b64encode(int(filled or "0", 2).to_bytes(len(filled) // 8, "big")).decode()
    return text[: -(-len(bits) // CHAR_BITS)]


def parse_runs(text: str) -> list[int]:
    """The runs of two powers and their codes. Raises ValueError where it is no such text."""
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


def _power(runs: Sequence[int]) -> int:
    """That of the middle run, which a few runs of any length do not move."""
    return sorted(runs)[len(runs) // 2].bit_length() - 1


@cache
def _classes(power: int) -> tuple[Sequence[int], Sequence[int]]:
    """Of each class the lowest run length, and the number of bits that tell its lengths apart."""
    widths = (power, power, *range(power, 64))
    return tuple(accumulate((1 << width for width in widths[:-1]), initial=1)), widths
