"""A picture: the rows of one look, in the order of the query. Pure.

The first `size` rows are the window: what a client that is level holds. Behind them are some older
rows, the slack: a client that comes back after inserts holds rows that have slid out since, and is
still recognised by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from poller.window.token import MODULUS, Token

LEAST_SLACK = 64
SLACK_SHARE = 4  # a quarter of the window
COUNTS_KEPT = 16  # of whose runs the digests are kept: as many kinds of clients come at once
DELETE, PUT = "delete", "put"


class Item(NamedTuple):
    """A row: its key as JSON, which is its identity, the lines of its event, and its weight."""

    identity: bytes
    lines: bytes
    weight: int


class Change(NamedTuple):
    """What a client is told of one row, and what it holds after that."""

    kind: str
    item: Item
    token: Token


def slack_of(size: int) -> int:
    """How many rows are read beyond a window of this size."""
    return max(LEAST_SLACK, size // SLACK_SHARE)


@dataclass(frozen=True)
class Picture:
    """`items` are the rows of one look, the newest first; the first `size` are the window."""

    items: Sequence[Item] = ()
    size: int = 0
    _runs: dict[int, dict[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def window(self) -> Sequence[Item]:
        return self.items[: self.size]

    @cached_property
    def _sums(self) -> Sequence[int]:
        """The digest of the first n rows, for each n."""
        return [*accumulate((item.weight for item in self.items), _plus, initial=0)]

    @property
    def token(self) -> Token:
        """Of the window."""
        return self.token_of(0, min(self.size, len(self.items)))

    def token_of(self, start: int, count: int) -> Token:
        """Of a run of rows."""
        return Token(count, (self._sums[start + count] - self._sums[start]) % MODULUS)

    def run(self, token: Token) -> int | None:
        """Where a run of rows begins that is just what `token` says; None if there is none."""
        if not token.rows:
            return 0 if token.digest == 0 else None
        if token.rows > len(self.items):
            return None
        if token.rows not in self._runs:
            while len(self._runs) >= COUNTS_KEPT:
                del self._runs[next(iter(self._runs))]
            sums, later = self._sums, self._sums[token.rows :]
            digests = {
                (high - low) % MODULUS: at
                for at, (low, high) in enumerate(zip(sums, later, strict=False))
            }
            self._runs[token.rows] = digests
        return self._runs[token.rows].get(token.digest)

    def changes_to(self, later: Picture) -> Iterator[Change]:
        """What is different in the later window: the rows that left it, then those that are new
        or changed, the oldest first."""
        token = self.token
        before = {item.identity: item for item in self.window}
        after = {item.identity for item in later.window}
        for item in self.window:
            if item.identity not in after:
                token = token.without_row(item.weight)
                yield Change(DELETE, item, token)
        for item in reversed(later.window):
            held = before.get(item.identity)
            if held is not None and held.weight == item.weight:
                continue
            if held is not None:
                token = token.without_row(held.weight)
            token = token.with_row(item.weight)
            yield Change(PUT, item, token)

    def changes_from(self, start: int, count: int) -> Iterator[Change]:
        """What a client lacks that holds just a run of these rows.

        After each change it holds such a run again, so wherever it is cut it can go on: the rows
        that slid out leave from the end; newer ones come lowest first, older ones highest first.
        """
        token, end = self.token_of(start, count), start + count
        for item in reversed(self.items[max(start, self.size) : end]):
            token = token.without_row(item.weight)
            yield Change(DELETE, item, token)
        newer, older = self.items[: min(start, self.size)], self.items[end : self.size]
        for item in (*reversed(newer), *older):
            token = token.with_row(item.weight)
            yield Change(PUT, item, token)


def _plus(digest: int, weight: int) -> int:
    return (digest + weight) % MODULUS
