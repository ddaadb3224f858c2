"""Is the table still the one that is being streamed: what the newest rows say."""

import math

import pytest

from poller.polling.identity import Identity
from poller.reading.snapshot import Found, History, HistoryMoved
from poller.wire.row import Row


class Table:
    """A table that was altered: the same place under another name."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def describe(self) -> History:
        return History("here", "new")

    def page(self, ranges: object, limit: int) -> Found:
        return Found(self.describe(), [self.row])


@pytest.mark.parametrize("value", ["NaN", 1.5, "infinity", None])
def test_a_row_that_reads_as_before_is_the_same_row(value: object) -> None:
    """NaN too, which does not equal itself: a float column of an application's own types."""
    again = float("nan") if value == "NaN" else value
    table = Table(Row(7, {"id": 7, "x": again}))
    identity = Identity(table, History("here", "old"))
    identity.remember([Row(7, {"id": 7, "x": math.nan if value == "NaN" else value})])
    assert not identity.is_another(History("here", "new"), 7)
    assert identity.epoch == "new"


def test_a_row_that_reads_otherwise_is_another_table() -> None:
    identity = Identity(Table(Row(7, {"id": 7, "x": 1.5})), History("here", "old"))
    identity.remember([Row(7, {"id": 7, "x": math.nan})])
    assert identity.is_another(History("here", "new"), 7)


def test_a_table_that_changes_while_it_is_looked_at_is_judged_by_the_next_poll() -> None:
    row = Row(7, {"id": 7, "x": 1.5})
    table = Table(row)
    identity = Identity(table, History("here", "old"))
    identity.remember([row])
    looks = iter(["new", "newer"])
    table.describe = lambda: History("here", next(looks))  # type: ignore[method-assign]
    with pytest.raises(HistoryMoved):
        identity.is_another(History("here", "new"), 7)
    assert identity.epoch == "old"
