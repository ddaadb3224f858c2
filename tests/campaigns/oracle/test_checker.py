"""Each anomaly, from a record made by hand."""

import random

import pytest

from poller.ids.cursor import Cursor
from poller.ids.marks import mark_text
from tests.campaigns.oracle.checker import MERGED, anomalies
from tests.campaigns.oracle.handmade import NEW, Run
from tests.campaigns.oracle.records import Deletion, Fault, Frame
from tests.campaigns.oracle.verdict import report


@pytest.fixture
def run() -> Run:
    """A client that begins at 10, of which it was sent nothing."""
    run = Run()
    run.write(10)
    run.connect()
    run.place("10")
    return run


def test_every_row_once_is_no_anomaly(run: Run) -> None:
    run.write(11)
    run.receive(11)
    assert run.kinds() == []


def test_row_that_never_came_is_lost_and_its_claim_is_a_silent_hole(run: Run) -> None:
    run.write(11)
    assert run.kinds() == ["silent hole", "lost"]


def test_row_in_an_open_gap_is_lost_but_no_silent_hole(run: Run) -> None:
    run.write(11)
    record = run.end()
    frames = record.clients[0].frames
    frames[-1] = Frame(1, "row", 9.0, "e.99!88,1", 99, "p99")
    assert [one.kind for one in anomalies(record)] == ["lost"]


def test_row_in_the_start_cursor_need_not_come(run: Run) -> None:
    assert run.kinds() == []


def test_row_committed_after_a_start_that_claims_it_is_lost(run: Run) -> None:
    run.write(9)
    assert run.kinds() == ["silent hole", "lost"]


def test_row_in_a_gap_of_the_start_cursor_must_come() -> None:
    run = Run()
    run.write(9)
    run.connect()
    run.place("10!1,1")
    assert run.kinds() == ["silent hole", "lost"]


def test_row_twice_is_duplicated_also_on_two_connections(run: Run) -> None:
    run.write(11)
    run.receive(11)
    run.connect("e.11")
    run.place("11")
    run.receive(11)
    assert run.kinds() == ["duplicated"]


def test_row_again_after_a_shortened_token_is_counted_apart(run: Run) -> None:
    missing = sorted(random.Random(1).sample(range(100, 1_000_000), 700))
    cursor = Cursor.at(1_000_000, [(row_id, row_id) for row_id in missing])
    token = cursor.token()
    said = Cursor.parse(token)
    merged = next(one + 1 for one in missing if one + 1 in cursor and one + 1 not in said)
    run.write(merged)
    run.receive(merged)
    run.connect(f"e.{token}")
    run.receive(merged)
    assert run.kinds() == [MERGED]


def test_row_again_after_a_short_token_with_a_mark_is_counted_apart(run: Run) -> None:
    """Also in the answers that follow: the first one need not bring all that it did not say."""
    for row_id in (8, 9, 11):
        run.write(row_id)
        run.receive(row_id)
    run.connect(f"e.11!1,3!{mark_text(7)}")
    run.receive(8)
    run.connect("e.11!1,2")
    run.receive(9)
    assert run.kinds() == [MERGED, MERGED]


def test_row_that_nobody_wrote_is_unexpected(run: Run) -> None:
    run.receive(11)
    assert run.kinds() == ["unexpected"]


def test_rolled_back_row_is_unexpected(run: Run) -> None:
    run.write(11, "rolled back")
    run.receive(11)
    assert run.kinds() == ["unexpected"]


def test_unknown_outcome_is_what_the_table_says(run: Run) -> None:
    run.write(11, "unknown")
    run.receive(11)
    run.write(12, "unknown", there=False)
    run.receive(12)
    run.write(13, "unknown", there=False)
    assert run.kinds() == ["unexpected"]


def test_deleted_row_may_have_been_seen_or_not(run: Run) -> None:
    for row_id in (11, 12):
        run.write(row_id, there=False)
        run.record.deletions[f"p{row_id}"] = Deletion(f"p{row_id}", "committed")
    run.receive(11)
    assert run.kinds() == []
    assert report(run.record).verdict == "vacuous"


def test_other_text_under_the_same_id_is_divergent(run: Run) -> None:
    run.write(11)
    run.write(12)
    run.receive(11)
    run.receive(12)
    run.receive(11, number=12)
    assert run.kinds() == ["divergent", "divergent", "duplicated"]


def test_same_text_under_another_id_is_divergent(run: Run) -> None:
    run.write(11)
    run.receive(12, number=11)
    assert run.kinds() == ["divergent"]


def test_reset_after_a_truncation_begins_a_new_page(run: Run) -> None:
    run.write(11)
    run.receive(11)
    run.write(12)  # not received: excused by the reset
    run.truncate()
    run.reset("11")
    run.write(1, number=1 + NEW)
    run.place("1")
    run.write(11, number=11 + NEW)
    run.receive(11, number=11 + NEW)
    assert run.kinds() == []


def test_silent_hole_before_a_reset_is_found_in_the_snapshot(run: Run) -> None:
    run.write(11)
    run.write(12)
    run.receive(12)
    run.truncate()
    run.reset("12")
    run.place("0")
    assert run.kinds() == ["silent hole"]


def test_reset_without_a_truncation_is_false(run: Run) -> None:
    run.reset("10")
    run.place("10")
    assert run.kinds() == ["false reset"]


def test_reset_before_the_truncation_is_false(run: Run) -> None:
    run.reset("10")
    run.place("10")
    run.truncate()
    run.reset("10")
    run.place("0")
    assert run.kinds() == ["false reset"]


def test_reset_of_a_page_that_began_long_after_the_truncation_is_false(run: Run) -> None:
    run.truncate()
    run.reset("10")
    run.at(run.time_s + 60)
    run.place("0")
    run.reset("0")
    run.place("0")
    assert run.kinds() == ["false reset"]


def test_worker_that_stood_still_during_the_truncation_may_reset_later(run: Run) -> None:
    run.truncate()
    run.record.faults.append(Fault("stopped", run.time_s - 2, run.time_s + 100, True))
    run.reset("10")
    run.at(run.time_s + 60)
    run.place("0")
    run.reset("0")
    run.place("0")
    assert run.kinds() == []


def test_new_history_in_an_old_page_is_a_missed_reset(run: Run) -> None:
    run.write(11)
    run.receive(11)
    run.truncate()
    run.write(12, number=12 + NEW)
    run.receive(12, number=12 + NEW)
    assert run.kinds() == ["missed reset"]


def test_new_history_before_its_reset_is_a_missed_reset(run: Run) -> None:
    run.write(11)
    run.receive(11)
    run.truncate()
    run.write(12, number=12 + NEW)
    run.receive(12, number=12 + NEW)
    run.reset("12")
    run.place("12")
    assert run.kinds() == ["missed reset"]
