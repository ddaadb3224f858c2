"""Is the table still the one that is being streamed: what its name, counters and newest rows say.

`test_histories.py` has the real databases.
"""

import math
from collections.abc import Sequence

import pytest

from poller.ids.cursor import Cursor
from poller.ids.ranges import Range
from poller.polling.identity import Identity
from poller.reading.snapshot import Found, History, HistoryMoved, Reading
from poller.wire.row import Row

OLD, ALTERED = History("here", "aaaaaa0000"), History("here", "aaaaaa1111")
NEW_IDS, RECREATED = History("here", "bbbbbb0000"), History("here", "bbbbbb1111")


class Table:
    """A table as the database has it now."""

    def __init__(self, *rows: Row, history: History = OLD) -> None:
        self.rows = {row.id: row for row in rows}
        self.history = history

    def describe(self) -> History:
        return self.history

    def page(self, ranges: Sequence[Range], limit: int) -> Found:
        found = [
            self.rows[i] for i in sorted(self.rows) if any(low <= i <= high for low, high in ranges)
        ]
        return Found(self.history, found[:limit])


def row(row_id: int, text: object, author: str = "ann") -> Row:
    return Row(row_id, {"id": row_id, "author": author, "text": text})


def identity_of(table: Table, *rows: Row) -> Identity:
    """One that has read these rows, before the table became what it is now."""
    identity = Identity(table)
    identity.begin(OLD)
    identity.remember(rows)
    return identity


def another(table: Table, *read: Row, at: int = 0) -> bool:
    """Whether the table, as it is now, is another than the one of which these rows were read."""
    identity = identity_of(table, *read)
    return identity.is_another(table.history, Cursor.at(at or max(one.id for one in read)))


def reason(table: Table, *read: Row, beyond: Sequence[Row] = (), counter: int = 99) -> str:
    """What a pass says that brings the rows `beyond`."""
    cursor = Cursor.at(max(one.id for one in read))
    return identity_of(table, *read).reset_reason(Reading(OLD, counter, list(beyond)), cursor)


# -- the name is another ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["NaN", 1.5, "infinity", None])
def test_a_row_that_reads_as_before_is_the_same_row(value: object) -> None:
    """NaN too, which does not equal itself: a float column of an application's own types."""
    before, again = (math.nan, float("nan")) if value == "NaN" else (value, value)
    table = Table(row(7, again), history=NEW_IDS)
    identity = identity_of(table, row(7, before))
    assert not identity.is_another(NEW_IDS, Cursor.at(7))
    assert identity.name == NEW_IDS.epoch


def test_a_row_that_reads_otherwise_is_another_table() -> None:
    assert another(Table(row(7, 1.5, "bob"), history=ALTERED), row(7, math.nan))


def test_another_place_is_another_table_whatever_it_holds() -> None:
    assert another(Table(row(7, "a"), history=History("there", OLD.epoch)), row(7, "a"))


def test_rows_of_a_table_that_took_its_place_for_a_moment_are_nobodys() -> None:
    """It was renamed away, read, and renamed back before it was looked at."""
    identity = identity_of(Table(row(7, "a")), row(7, "a"))
    for elsewhere in (History("there", OLD.epoch), RECREATED):
        with pytest.raises(HistoryMoved):
            identity.reset_reason(Reading(elsewhere, 99, [row(8, "b")]), Cursor.at(7))


def test_an_updated_row_is_the_same_row_if_it_keeps_what_tells_it_from_others() -> None:
    read = [Row(i, {"id": i, "name": f"n{i}", "status": "new"}) for i in (1, 2)]
    done = [Row(i, {"id": i, "name": f"n{i}", "status": "done"}) for i in (1, 2)]
    assert not another(Table(*done, history=ALTERED), *read)


def test_a_column_that_was_renamed_tells_nothing() -> None:
    renamed = Row(7, {"id": 7, "author": "ann", "body": "text"})
    assert not another(Table(renamed, history=ALTERED), row(7, "text"))


def test_rows_without_a_column_in_common_are_others() -> None:
    assert another(Table(Row(7, {"id": 7, "total": 5}), history=ALTERED), row(7, "text"))


def test_most_of_the_newest_rows_replaced_is_another_table_though_one_reads_as_before() -> None:
    read = [row(i, f"old {i}") for i in range(1, 9)]
    now = [row(8, "old 8"), *(row(i, f"new {i}") for i in range(1, 8))]
    assert another(Table(*now, history=RECREATED), *read)


def test_a_few_updated_rows_are_the_same_table() -> None:
    read = [row(i, f"old {i}") for i in range(1, 9)]
    now = [*read[2:], row(1, "edited"), row(2, "edited, too")]
    assert not another(Table(*now, history=ALTERED), *read)


def test_without_the_newest_rows_the_lasting_part_decides() -> None:
    assert not another(Table(row(1, "old"), history=ALTERED), row(7, "deleted"))
    assert another(Table(row(1, "old"), history=NEW_IDS), row(7, "deleted"))


def test_a_table_that_changes_while_it_is_looked_at_is_judged_by_the_next_poll() -> None:
    table = Table(row(7, "a"), history=ALTERED)
    identity = identity_of(table, row(7, "a"))
    table.describe = lambda: RECREATED  # type: ignore[method-assign]
    with pytest.raises(HistoryMoved):
        identity.is_another(ALTERED, Cursor.at(7))
    assert identity.name == OLD.epoch


# -- the name tells of the ids themselves ----------------------------------------------------------


def numbered(history: History) -> History:
    return History(history.place, history.epoch, numbered=True)


@pytest.mark.parametrize(
    ("now", "left", "expected"),
    [
        (RECREATED, row(7, "a"), True),  # both files are new: TRUNCATE … RESTART IDENTITY
        (ALTERED, row(7, "a"), False),
        (NEW_IDS, row(7, "a"), False),  # ALTER SEQUENCE
        (NEW_IDS, row(9, "new"), False),
        (ALTERED, row(2, "an old one"), False),  # rewritten, after the newest were deleted
        (ALTERED, row(9, "new"), True),  # truncated
    ],
)
def test_what_a_sequence_tells(now: History, left: Row, *, expected: bool) -> None:
    table = Table(left, history=numbered(now))
    identity = identity_of(table, row(7, "a"))
    identity.begin(numbered(OLD))
    identity.remember([row(7, "a")])
    assert identity.is_another(table.history, Cursor.at(7)) is expected


# -- ids start again -------------------------------------------------------------------------------


def test_a_counter_below_the_position_is_a_restart() -> None:
    assert reason(Table(row(7, "a")), row(7, "a"), counter=6) == "ids-restarted"
    assert reason(Table(row(7, "a")), row(7, "a"), counter=7) == ""


def test_a_sequence_that_falls_below_the_position_is_a_restart() -> None:
    identity = identity_of(Table())
    said = [
        identity.reset_reason(Reading(OLD, 9, [], given=given), Cursor.at(7))
        for given in (5, 6, 9, 8, 7, 6)  # it was below from the first, and that was known
    ]
    assert said == ["", "", "", "", "", "ids-restarted"]


def test_rows_that_took_the_ids_of_others_are_a_restart() -> None:
    read = [row(6, "f"), row(7, "g")]
    now = [row(6, "f"), row(7, "other"), row(8, "new")]
    assert reason(Table(*now), *read, beyond=now[2:]) == "ids-restarted"


def test_they_are_found_also_if_the_newest_of_them_is_gone() -> None:
    read = [row(5, "e"), row(6, "f"), row(7, "g")]
    now = [row(5, "other"), row(6, "another"), row(8, "new")]
    assert reason(Table(*now), *read, beyond=now[2:]) == "ids-restarted"


def test_what_new_rows_have_in_common_does_not_tell_an_old_one_from_them() -> None:
    """All by the same author: one that keeps it need not be the same row."""
    now = [row(7, "other"), row(8, "new")]
    assert reason(Table(*now), row(7, "g"), beyond=now[1:]) == "ids-restarted"
    by_bob = [row(7, "edited"), row(8, "new", "bob")]
    assert reason(Table(*by_bob), row(7, "g"), beyond=by_bob[1:]) == ""


@pytest.mark.parametrize("left", [[], [row(6, "f")], [row(6, "f"), Row(7, {"id": 7, "x": 1})]])
def test_deleted_rows_are_no_restart(left: list[Row]) -> None:
    read = [row(6, "f"), Row(7, {"id": 7, "x": 1})]
    assert reason(Table(*left), *read, beyond=[row(8, "new")]) == ""


def test_an_updated_row_is_compared_as_it_is_from_then_on() -> None:
    table = Table(Row(7, {"id": 7, "a": 1, "b": 1}))
    identity = identity_of(table, *table.rows.values())
    for a, b in ((2, 1), (2, 2), (3, 2)):
        table.rows[7] = Row(7, {"id": 7, "a": a, "b": b})
        new = Row(8, {"id": 8, "a": 9, "b": 9})
        assert identity.reset_reason(Reading(OLD, 9, [new]), Cursor.at(7)) == ""


def test_a_row_of_which_nothing_but_its_id_can_be_read_is_not_replaced() -> None:
    large = Row(7, {"id": 7, "text": None}, withheld={"text": "it is too large"})
    assert not reason(Table(large), large, beyond=[Row(8, {"id": 8, "text": "b"})])


def test_late_rows_do_not_take_the_newest_out_of_sight() -> None:
    identity = identity_of(Table(row(50, "other")), row(50, "a"))
    identity.remember([row(i, f"late {i}") for i in range(1, 20)])
    reading = Reading(OLD, 99, [row(51, "new")])
    assert identity.reset_reason(reading, Cursor.at(50)) == "ids-restarted"


def test_ids_of_before_are_void_from_the_next_reading_on() -> None:
    identity = identity_of(Table())
    identity.reset_reason(Reading(OLD, 0, [], second=1_800_000_000), Cursor.at(0))
    before = identity.salt
    identity.begin(OLD)
    assert identity.salt == before
    identity.reset_reason(Reading(OLD, 0, [], second=1_800_000_005), Cursor.at(0))
    assert identity.salt.valid_from == before.time + 6
