"""A view: what all streams with the same question share. Which rows they get, and which columns.

A value: two streams that ask the same, in whatever order and by whichever worker, have the same
view. It knows neither the table nor its types: `Feed.view()` makes one from what a client sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from operator import itemgetter

from poller.wire import event_id
from poller.wire.cut import cut
from poller.wire.exact import Exact, Value, exact, text_of

Key = tuple[Exact, ...]  # the values of a view's columns, in their order
KeyOf = Callable[[tuple[Exact, ...]], Key]

# Combinations of values: each is a place at which each row of the feed is looked up for it, and a
# stranger says how many there are.
MAX_KEYS = 64
TAG_BYTES = 4  # one in four thousand million pairs of views has the same
TAG_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TAG_CHARS = 6
REMEMBERED = 512  # tags: many who come back ask for the same view


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

    def frame(self, frame: bytes, id_at: int) -> bytes:
        """The frame of a row, as all streams without a filter get it, for this view. Its `id` line
        begins at `id_at`."""
        if not (self.tag and frame):
            return frame
        lines, id_line = event_id.with_view(frame, id_at, self.tag.encode())
        return self.lines(lines) + id_line

    def lines(self, lines: bytes) -> bytes:
        """The lines of a row's event with the columns that are shown."""
        return lines if self.shown is None else cut(lines, self.shown)

    @property
    def filter(self) -> dict[str, tuple[Exact, ...]]:
        """Each column with its values."""
        return dict(zip(self.columns, self.values, strict=True))


def key_of(filters: Sequence[str], columns: Sequence[str]) -> KeyOf:
    """Of a row's values, which are of the columns `filters`, those of `columns`. Raises ValueError
    for a column that is no filter."""
    for name in columns:
        if name not in filters:
            raise ValueError(f"{name} is no filter of this feed")
    places = [filters.index(name) for name in columns]
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda values: (values[places[0]],)) if places else (lambda _: ())


def _sorted(column: str, values: Sequence[Value | Exact]) -> tuple[Exact, ...]:
    found = {value if isinstance(value, tuple) else exact(value) for value in values}
    if not found:
        raise ValueError(f"{column}: there is no value to ask for")
    return tuple(sorted(found, key=text_of))


@lru_cache(maxsize=REMEMBERED)
def _tag(
    columns: tuple[str, ...],
    values: tuple[tuple[Exact, ...], ...],
    shown: tuple[str, ...] | None,
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
