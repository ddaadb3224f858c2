"""What a client asks of a feed, as a view: columns and values checked against the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poller.delivery.view import ALL, View
from poller.reading.table import Table
from poller.wire.exact import Exact, Value


def view_of(
    table: Table,
    asked: Mapping[str, Sequence[Value]],
    shown: Sequence[str] | None,
) -> View:
    """See `Feed.view()`."""
    if not asked and shown is None:
        return ALL
    columns = table.description.columns
    known = {one.name: one for one in columns.filters}
    found: dict[str, list[Exact]] = {}
    for name, values in asked.items():
        if name not in known:
            raise ValueError(f"{name} is no filter of this feed")
        found[name] = [known[name].asked(value) for value in values]
    return View.of(found, _shown(table, columns.names, shown))


def _shown(table: Table, names: Sequence[str], shown: Sequence[str] | None) -> Sequence[str] | None:
    """With the key. None if that is all."""
    if shown is None:
        return None
    for name in shown:
        if name not in names:
            raise ValueError(f"{name} is no column of this feed")
    wanted = {*shown, *table.row_key} & {*names}
    return None if wanted == {*names} else sorted(wanted)


def id_of(row: object, key: str) -> int:
    """The id of a row that may be an id, a mapping, a `sqlalchemy.Row` or a mapped object."""
    if isinstance(row, int):
        return row
    found = row.get(key) if isinstance(row, Mapping) else getattr(row, key, None)
    if not isinstance(found, int):
        raise ValueError(f"a row of the page has no integer {key!r}: {type(row).__name__}")  # noqa: TRY004 - nor is the type wrong
    return found
