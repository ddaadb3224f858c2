"""A look: the newest rows of a query's answer, as one statement found them. Values without SQL."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from poller.wire.row import KeyedRow

Raw = tuple[Any, ...]


class Shape(Protocol):
    """How the values of a raw row are to be read: `reading.windows.query.Query`."""

    @property
    def key(self) -> Sequence[str]:
        """The columns of the key."""

    @property
    def names(self) -> Sequence[str]:
        """The columns that are sent, those of the key among them."""

    @property
    def key_of(self) -> Callable[[Raw], Hashable]: ...
    def row(self, raw: Raw) -> KeyedRow: ...


@dataclass(frozen=True, slots=True)
class Look:
    """`rows` in the query's own order, the newest first. Those that could not be read with the
    others stand in `apart`, by their place."""

    shape: Shape
    rows: Sequence[Raw]
    apart: Mapping[int, KeyedRow] = field(default_factory=dict)
