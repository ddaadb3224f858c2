"""Which of a table's columns a feed shows, where that is more than a list of names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

# Called with the table as it was found, and its key.
Choose = Callable[[sa.Table, "sa.Column[Any]"], Sequence[str]]


def with_key(names: Sequence[str]) -> Choose:
    """These columns, and the key: without it a client could not tell one row from another."""

    def choose(_: sa.Table, key: sa.Column[Any]) -> Sequence[str]:
        return names if key.key in names else (key.key, *names)

    return choose
