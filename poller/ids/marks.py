"""The mark of a set of ids: 64 bits that tell it from any other, where its token cannot.

A token that had to merge gaps names less than the client has. Its mark is that of the whole set: a
client that comes back to where it was is known by it, and is sent nothing twice. Two sets have the
same mark by a chance of 1 in 2^64, as little as a disk's error goes unnoticed.

The mark is the XOR of a number for each id at which the set begins or ends. So ids that come into
it change the mark by the numbers of their own two ends, whatever else is in it.

This module is pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from poller.ids.ranges import Range

MARK_CHARS = 11

_BITS = (1 << 64) - 1


def toggled(ranges: Iterable[Range]) -> int:
    """By what a mark changes if the ids in `ranges` come into the set, or leave it."""
    mark = 0
    for low, high in ranges:
        mark ^= _number(low) ^ _number(high + 1)
    return mark


def mark_text(mark: int) -> str:
    """`MARK_CHARS` of base64."""
    return urlsafe_b64encode(mark.to_bytes(8, "big")).decode().rstrip("=")


def parse_mark(text: str) -> int:
    """Raises ValueError where it is no such text."""
    mark = int.from_bytes(urlsafe_b64decode(text + "="), "big")
    if mark_text(mark) != text:
        raise ValueError("not the text of a mark")
    return mark


def _number(row_id: int) -> int:
    """A random number for each id, the same everywhere: splitmix64's (Steele, Lea and Flood)."""
    bits = row_id * 0x9E3779B97F4A7C15 & _BITS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _BITS
    return bits ^ bits >> 31
