"""Pictures: what differs between two of them, and where a client stands in one."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from poller.window.picture import DELETE, Change, Item, Picture, slack_of
from poller.window.token import EMPTY, Token, weight

ROWS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), unique_by=lambda row: row[0])
SIZE = st.integers(1, 6)


def item(row: tuple[int, int]) -> Item:
    identity, lines = b'{"id":%d}' % row[0], b"data: %d\n" % row[1]
    return Item(identity, lines, weight(identity, lines))


def picture(rows: Sequence[tuple[int, int]], size: int) -> Picture:
    return Picture([*map(item, rows)], size)


def token_of(items: Sequence[Item]) -> Token:
    held = EMPTY
    for one in items:
        held = held.with_row(one.weight)
    return held


def applied(held: Sequence[Item], changes: Sequence[Change]) -> list[Item]:
    """What a client holds after the changes; each token says just that."""
    rows = {one.identity: one for one in held}
    for change in changes:
        if change.kind == DELETE:
            del rows[change.item.identity]
        else:
            rows[change.item.identity] = change.item
        assert change.token == token_of([*rows.values()])
    return [*rows.values()]


@given(ROWS, ROWS, SIZE)
def test_changes_lead_from_one_window_to_the_next(
    before: list[tuple[int, int]], after: list[tuple[int, int]], size: int
) -> None:
    first, second = picture(before, size), picture(after, size)
    held = applied(first.window, [*first.changes_to(second)])
    assert sorted(held) == sorted(second.window)


@given(ROWS, SIZE, st.data())
def test_a_run_of_rows_is_found_and_led_to_the_window_through_runs(
    rows: list[tuple[int, int]], size: int, data: st.DataObject
) -> None:
    looked = picture(rows, size)
    start = data.draw(st.integers(0, len(rows)))
    count = data.draw(st.integers(0, len(rows) - start))
    run = looked.items[start : start + count]
    found = looked.run(token_of(run))
    assert found == (start if count else 0)
    changes = [*looked.changes_from(found, count)]
    assert sorted(applied(run, changes)) == sorted(looked.window)
    for change in changes:  # so wherever it is cut, it is found again
        assert looked.run(change.token) is not None


@given(ROWS, SIZE, st.integers(0, 20), st.integers(1, 2**64 - 1))
def test_what_is_no_run_is_not_found(
    rows: list[tuple[int, int]], size: int, count: int, digest: int
) -> None:
    assert picture(rows, size).run(Token(count, digest)) is None


def test_a_snapshot_begins_with_the_newest_row() -> None:
    changes = picture([(3, 0), (2, 0), (1, 0)], 2).changes_from(0, 0)
    assert [change.item.identity for change in changes] == [b'{"id":3}', b'{"id":2}']


def test_rows_of_many_counts_are_found_without_keeping_all_digests() -> None:
    looked = picture([(number, 0) for number in range(1, 41)], 40)
    for count in range(1, 41):
        assert looked.run(token_of(looked.items[:count])) == 0
    assert len(looked._runs) <= 16


def test_the_slack_grows_with_the_window() -> None:
    assert [slack_of(size) for size in (1, 256, 1000)] == [64, 64, 250]
