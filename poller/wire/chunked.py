"""HTTP/1.1's chunked transfer coding (RFC 9112, section 7.1), for streams on sockets of ours.

Without it an HTTP/1.1 client cannot tell the end of a stream from a cut, and urllib3 waits until
its buffer is full.

A chunk says its length first. A stream that moves to another process in the middle of one *owes*
the bytes that are left of it: the other process never saw the frames that were to come, and sends
others. What they are is nothing to the coding, which knows no frames: whatever is sent next fills
the chunk, is split where it ends, and goes on in one of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LAST_CHUNK = b"0\r\n\r\n"
END = b"\r\n"


def chunk(data: bytes) -> bytes:
    """`data`, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def filled(owed: int, data: bytes) -> bytes:
    """`data`, which is not empty, of which the first bytes are `owed` to a chunk that has begun."""
    if not owed:
        return chunk(data)
    if len(data) < owed:
        return data
    rest = data[owed:]
    return data[:owed] + END + (chunk(rest) if rest else b"")


class Part(NamedTuple):
    """Where in coded bytes a part of the body is, and how long the chunk is of which it is, from
    there on."""

    start: int
    stop: int
    length: int


def parts(coded: bytes, owed: int) -> Iterator[Part]:
    """Of what `filled(owed, …)` gave. Only the last may be less than its chunk."""
    start, length = 0, owed
    if not owed:
        start, length = _head(coded, 0)
    while True:
        yield Part(start, min(start + length, len(coded)), length)
        after = start + length + len(END)
        if after >= len(coded):
            return
        start, length = _head(coded, after)


def _head(coded: bytes, at: int) -> tuple[int, int]:
    stop = coded.index(END, at)
    return stop + len(END), int(coded[at:stop], 16)
