"""Is the table still the one that is being streamed: what the newest rows say."""

import math

import pytest

from poller.polling.identity import Identity
from poller.reading.snapshot import History
from poller.wire.row import Row


class Table:
    """A table that was altered: the same place under another name."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def describe(self) -> History:
        return History("here", "new")

    def page(self, ranges: object, limit: int) -> list[Row]:
        return [self.row]


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
