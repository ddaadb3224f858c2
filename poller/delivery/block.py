"""A block: all rows of some ranges of ids, for streams that have different views.

Thousands come back at once, each with a view of its own. A query for each would take seconds; one
for all, and a look-up for each, takes milliseconds. So a block is larger than a page: of its rows
each gets few.
"""

from __future__ import annotations

from collections.abc import Sequence

from poller.delivery.page import Body, Page
from poller.delivery.view import Key, View, key_of
from poller.ids.ranges import Range
from poller.wire.exact import Exact


class Block(Page):
    """`values` are those of its rows, of the columns `filters`."""

    def __init__(
        self,
        asked: Sequence[Range],
        rows: Sequence[Body],
        filters: Sequence[str],
        values: Sequence[tuple[Exact, ...]],
    ) -> None:
        super().__init__(asked, rows)
        self._filters = filters
        self._values = values
        self._groups: dict[tuple[str, ...], dict[Key, list[Body]]] = {}

    def _rows_of(self, view: View) -> Sequence[Body]:
        if view.columns not in self._groups:
            self._groups[view.columns] = self._grouped(view.columns)
        groups = self._groups[view.columns]
        found = [groups[key] for key in view.keys if key in groups]
        return found[0] if len(found) == 1 else sorted(one for some in found for one in some)

    def _grouped(self, columns: tuple[str, ...]) -> dict[Key, list[Body]]:
        """Once for all views that are filtered by these columns."""
        key, groups = key_of(self._filters, columns), dict[Key, list[Body]]()
        for body, values in zip(self.rows, self._values, strict=True):
            groups.setdefault(key(values), []).append(body)
        return groups
