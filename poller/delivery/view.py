"""A view: what all streams with the same question share. Which rows they get, and which columns.

A value: two streams that ask the same, in whatever order and by whichever worker, have the same
view. It knows neither the table nor its types: `Feed.view()` makes one from what a client sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from poller.wire.exact import Exact, Value, exact, text_of

Key = tuple[Exact, ...]  # the values of a view's columns, in their order

# Combinations of values: each is a place at which each row of the feed is looked up for it, and a
# stranger says how many there are.
MAX_KEYS = 64
TAG_BYTES = 4  # one in four thousand million pairs of views has the same
TAG_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TAG_CHARS = 6


@dataclass(frozen=True, slots=True)
class View:
    """Rows that have, in each of `columns`, one of its `values`; no columns, all rows.

    `shown` are the columns that go out, None for all of the feed's. `tag` stands in the ids that
    its streams are sent: a client comes back with it to the same view, or begins again. It is empty
    for all rows with all columns.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Exact, ...], ...]
    shown: tuple[str, ...] | None
    tag: str

    @classmethod
    def of(
        cls,
        asked: Mapping[str, Sequence[Value | Exact]],
        shown: Sequence[str] | None = None,
    ) -> View:
        """Raises ValueError, in words, for a column without a value, a value of another type than
        those of `exact()`, and more than MAX_KEYS combinations."""
        columns = tuple(sorted(asked))
        values = tuple(_sorted(name, asked[name]) for name in columns)
        if (keys := prod(map(len, values))) > MAX_KEYS:
            raise ValueError(f"{keys} combinations of values are too many: {MAX_KEYS} at most")
        named = None if shown is None else tuple(sorted({*shown}))
        return cls(columns, values, named, _tag(columns, values, named))

    def __hash__(self) -> int:
        return hash(self.tag)

    @property
    def keys(self) -> Iterator[Key]:
        """Each combination of its values: a row is in the view if it has one of these."""
        return product(*self.values)

    @property
    def filter(self) -> dict[str, tuple[Exact, ...]]:
        """Each column with its values."""
        return dict(zip(self.columns, self.values, strict=True))


def _sorted(column: str, values: Sequence[Value | Exact]) -> tuple[Exact, ...]:
    found = {value if isinstance(value, tuple) else exact(value) for value in values}
    if not found:
        raise ValueError(f"{column}: there is no value to ask for")
    return tuple(sorted(found, key=text_of))


def _tag(
    columns: Sequence[str], values: Sequence[Sequence[Exact]], shown: Sequence[str] | None
) -> str:
    """A short hash of all that tells the view from others, alike in all workers."""
    if not columns and shown is None:
        return ""
    asked = [columns, [[text_of(value) for value in some] for some in values], shown]
    digest = hashlib.blake2s(json.dumps(asked).encode(), digest_size=TAG_BYTES).digest()
    number, tag = int.from_bytes(digest) % len(TAG_DIGITS) ** TAG_CHARS, ""
    for _ in range(TAG_CHARS):
        number, digit = divmod(number, len(TAG_DIGITS))
        tag += TAG_DIGITS[digit]
    return tag


ALL = View.of({})
