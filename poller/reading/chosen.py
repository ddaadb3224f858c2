"""Which of a table's columns a feed shows, where that is more than a list of names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from poller.reading.frozen import Frozen

# Called with the table as it was found, and its key.
Choose = Callable[[sa.Table, "sa.Column[Any]"], Sequence[str]]


def with_key(names: Sequence[str]) -> Choose:
    """These columns, and the key: without it a client could not tell one row from another."""

    def choose(_: sa.Table, key: sa.Column[Any]) -> Sequence[str]:
        return names if key.key in names else (key.key, *names)

    return choose


# What is said of a feed's columns; None for all of them.
Said = Sequence[str] | Choose | Frozen | None


class Chosen:
    """The columns of one feed, look by look."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._first: Sequence[str] = ()  # at the first look, if nobody lists them

    def names(self, table: sa.Table, key: sa.Column[Any]) -> Sequence[str]:
        """What was asked for, or what the table had when it was first looked at, as far as it is
        there: a column that is added later may be nobody's business.

        Raises FrozenError if nobody knows what there was at first.
        """
        said = self._said
        if callable(said):
            return said(table, key)
        if said is not None and not isinstance(said, Frozen):
            return said
        if not self._first:
            found = [*table.c.keys()]
            self._first = with_key(said.names(found))(table, key) if said else found
        return [name for name in self._first if name in table.c]

    def gone(self, table: sa.Table) -> Sequence[str]:
        """Those of the first look that are no longer there."""
        return [name for name in self._first if name not in table.c]
