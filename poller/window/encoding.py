"""Rows of a look as a picture. What did not change since the last look is not encoded again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from itertools import chain
from typing import NamedTuple

from poller.delivery.losses import Losses
from poller.reading.description import TableError
from poller.reading.windows.look import Look, Raw
from poller.runtime import metrics
from poller.runtime.hub import in_slices
from poller.window.picture import Item, Picture
from poller.window.token import weight
from poller.wire import row, sse
from poller.wire.row import KeyedRow, Problem

ROWS_BETWEEN_LOOKS = 16  # at the clock


class _Known(NamedTuple):
    """A row as it was read, and what was made of it."""

    raw: Raw
    kinds: Sequence[type]
    item: Item


class Encoder:
    """That of one feed by window; `size` is the window's, `secret` what its digests are made with.

    It keeps what it was given last, to compare with. `==` alone takes 1 for 1.0 and True, and
    Decimal("1.0") for Decimal("1.00"), whose JSON differs: so types are compared, too, and decimals
    as text.
    """

    def __init__(self, feed: str, size: int, secret: Callable[[], bytes] = bytes) -> None:
        self._feed = feed
        self._size = size
        self._secret = secret
        self._losses = Losses(feed)
        self._rows: Sequence[Raw] = ()
        self._kinds: Sequence[type] = ()
        self._known: dict[Hashable, _Known] = {}
        self._picture: Picture | None = None

    def picture(self, look: Look) -> Picture:
        """The picture of a look: the same object as the last one if nothing differs.

        Raises TableError if two rows have the same key. Others have their turn in between.
        """
        rows, kinds = _comparable(look.rows)
        same = rows == self._rows and kinds == self._kinds and not look.apart
        if self._picture is not None and same:
            return self._picture
        known: dict[Hashable, _Known] = {}
        items: list[Item] = []
        columns = len(rows[0]) if rows else 0
        for at, raw in enumerate(in_slices(rows, items_between_looks=ROWS_BETWEEN_LOOKS)):
            if (apart := look.apart.get(at)) is not None:
                items.append(self._item(apart))
                continue
            key = look.shape.key_of(raw)
            kinds_here, before = kinds[at * columns : (at + 1) * columns], self._known.get(key)
            if before is None or before.raw != raw or before.kinds != kinds_here:
                before = _Known(raw, kinds_here, self._item(look.shape.row(look.rows[at])))
            known[key] = before
            items.append(before.item)
        items = _told_apart(items)
        # All at once, so that a look that fails leaves the one before. Rows that were read by
        # themselves are compared by what is sent of them.
        self._rows, self._kinds, self._known = (() if look.apart else rows), kinds, known
        if self._picture is None or items != self._picture.items:
            self._picture = Picture(items, self._size)
        return self._picture

    def _item(self, found: KeyedRow) -> Item:
        item, problem = item_of(found, self._secret())
        metrics.rows_encoded.labels(self._feed).inc()
        if problem is not None:
            self._losses.report(item.identity.decode(), problem)
        return item


def item_of(found: KeyedRow, secret: bytes = b"") -> tuple[Item, Problem | None]:
    """A row as an item, and what was wrong with it. The placeholder of a row that could not be read
    is what is sent of it, and so what counts in the digest."""
    identity = _identity(found)
    if found.columns is None:
        placeholder = row.to_json({**found.key, "reason": found.problem})
        lines = sse.fields(placeholder, event=row.UNREADABLE_EVENT)
        problem: Problem | None = Problem(found.problem, {})
    else:
        lines, problem = row.body(found)
    return Item(identity, lines, weight(identity, lines, secret)), problem


def _identity(found: KeyedRow) -> bytes:
    """The key as JSON. One that JSON cannot have (half a surrogate pair) is told escaped."""
    try:
        return row.to_json(dict(found.key)).encode()
    except row.NOT_JSON:
        return row.to_json({name: ascii(value) for name, value in found.key.items()}).encode()


def _told_apart(items: Sequence[Item]) -> list[Item]:
    """The same, but that of rows which are equal in all that is sent there is one."""
    seen: dict[bytes, Item] = {}
    for item in items:
        if seen.setdefault(item.identity, item) != item:
            raise TableError(
                f"the key is not unique: two rows of the answer have {item.identity.decode()}, and "
                "nobody could tell which of them a client holds; name columns that tell every row "
                "from the others (key=, --key)"
            )
    return [*seen.values()]


def _comparable(rows: Sequence[Raw]) -> tuple[Sequence[Raw], Sequence[type]]:
    kinds = [*map(type, chain.from_iterable(rows))]
    if Decimal in set(kinds):
        rows = [tuple(_text_if_decimal(value) for value in raw) for raw in rows]
    return rows, kinds


def _text_if_decimal(value: object) -> object:
    return str(value) if type(value) is Decimal else value
