"""Which rows are called late, from a record made by hand. Seconds are written out."""

import pytest
from msgspec.structs import replace

from tests.campaigns.oracle.delays import Starved
from tests.campaigns.oracle.lateness import excused, late_rows
from tests.campaigns.oracle.records import (
    Attempt,
    Beat,
    ClientRecord,
    Connection,
    Fault,
    Frame,
    Pass,
    Record,
)
from tests.campaigns.oracle.verdict import report

ROW = "p7"
COMMITTED_S = 10.0


@pytest.fixture
def record() -> Record:
    """Row 7 is committed at 10 s, between two passes of a worker."""
    record = Record()
    record.attempts[ROW] = Attempt("w", ROW, 7, COMMITTED_S - 0.01, COMMITTED_S, "committed")
    add_pass(record, 9.9)
    return record


def add_pass(record: Record, began_s: float, *payloads: str, **changes: object) -> None:
    made = Pass("worker 1", 1, began_s, began_s + 0.05, True, 0, [*payloads])
    record.passes.append(replace(made, **changes))


def passed_by(record: Record) -> list[int]:
    return [one.passed_by for one in late_rows(record)]


def test_row_that_the_next_pass_brings_is_not_late(record: Record) -> None:
    add_pass(record, 10.1, ROW)
    assert passed_by(record) == []


def test_row_that_one_pass_left_out_is_let_pass(record: Record) -> None:
    add_pass(record, 10.1)
    add_pass(record, 10.3, ROW)
    assert passed_by(record) == []


def test_row_that_two_passes_left_out_is_late(record: Record) -> None:
    for began_s in (10.1, 10.3):
        add_pass(record, began_s)
    add_pass(record, 10.5, ROW)
    assert passed_by(record) == [2]
    assert str(late_rows(record)[0]).startswith("row 7 after 0.550 s at the worker 1; 2 passes")


def test_passes_that_take_long_make_no_row_late(record: Record) -> None:
    """The machine is busy, or the database is frozen: the facts are the same."""
    add_pass(record, 60.0, ROW, ended_s=90.0)
    assert passed_by(record) == []


def test_pass_under_way_at_the_commit_may_leave_the_row_out(record: Record) -> None:
    add_pass(record, COMMITTED_S - 0.005, ended_s=12.0)
    add_pass(record, 12.1)
    add_pass(record, 12.3, ROW)
    assert passed_by(record) == []


def test_passes_that_failed_or_were_cut_off_prove_nothing(record: Record) -> None:
    for began_s in (10.1, 10.2, 10.3, 10.4):
        add_pass(record, began_s, complete=False)
    add_pass(record, 10.5, ROW)
    assert passed_by(record) == []


def test_what_a_worker_finds_when_it_opens_the_table_is_history(record: Record) -> None:
    for began_s in (10.1, 10.3, 10.5):
        add_pass(record, began_s)
    add_pass(record, 10.7, ROW, life=2)
    assert passed_by(record) == []


def test_passes_of_another_worker_leave_nothing_out(record: Record) -> None:
    for began_s in (10.1, 10.3, 10.5):
        add_pass(record, began_s, worker="worker 2")
    add_pass(record, 10.7, ROW)
    assert passed_by(record) == []


def test_row_whose_commit_nobody_saw_end_is_not_judged(record: Record) -> None:
    record.attempts[ROW] = replace(record.attempts[ROW], ended_s=None, outcome="unknown")
    for began_s in (10.1, 10.3, 10.5):
        add_pass(record, began_s)
    add_pass(record, 10.7, ROW)
    assert passed_by(record) == []


def test_late_row_fails_the_run(record: Record) -> None:
    for began_s in (10.1, 10.3):
        add_pass(record, began_s)
    add_pass(record, 10.5, ROW)
    found = report(record)
    assert found.verdict == "fail"
    assert found.reasons[0].startswith("1 late, the first: row 7 ")


def received_at(record: Record, at_s: float) -> Record:
    """By the clock, with 0.65 s allowed; the passes say nothing."""
    place = Frame(1, "place", 1.0, "e.6")
    row = Frame(1, "row", at_s, "e.7", 7, ROW)
    record.clients = [ClientRecord("a", [Connection(1, "main", None, 0.9)], [place, row])]
    record.longest_wait_s = 0.65
    return record


def test_row_in_time_by_the_clock(record: Record) -> None:
    assert late_rows(received_at(record, 10.64)) == []


def test_row_late_by_the_clock(record: Record) -> None:
    (late,) = late_rows(received_at(record, 10.8))
    assert (late.payload, round(late.waited_s, 3), late.where) == (ROW, 0.8, "client 'a'")


def test_clock_judges_only_where_it_should(record: Record) -> None:
    received_at(record, 10.8).longest_wait_s = None
    assert late_rows(record) == []


def test_what_the_machine_took_is_not_counted(record: Record) -> None:
    received_at(record, 10.8).beats = [Beat("clients", 10.5, 0.2)]
    assert late_rows(record) == []


def test_machine_that_took_little_excuses_little(record: Record) -> None:
    received_at(record, 10.9).beats = [Beat("clients", 10.5, 0.05)]
    assert len(late_rows(record)) == 1
    assert excused(record) == 0


def test_what_is_excused_is_counted(record: Record) -> None:
    received_at(record, 10.9).beats = [Beat("clients", 10.5, 0.1)]
    assert (late_rows(record), excused(record)) == ([], 1)


def test_what_the_machine_took_at_another_time_is_counted(record: Record) -> None:
    received_at(record, 10.8).beats = [Beat("clients", 9.9, 5.0), Beat("clients", 12.0, 1.1)]
    assert [round(one.starved_s, 3) for one in late_rows(record)] == [0.0]


def test_hub_that_its_own_work_blocked_is_no_excuse(record: Record) -> None:
    received_at(record, 10.8).beats = [Beat("worker 1", 10.7, 0.0, blocked_s=0.6)]
    assert len(late_rows(record)) == 1


def test_row_under_a_fault_is_not_judged_by_the_clock(record: Record) -> None:
    received_at(record, 19.0).faults = [Fault("crash", 10.5, 11.0, True)]
    assert late_rows(record) == []


def test_starved_time_that_several_report_counts_once() -> None:
    starved = Starved([Beat("a", 3.0, 2.0), Beat("b", 4.0, 2.0), Beat("c", 8.0, 1.0)])
    assert starved.between(0.0, 10.0) == 4.0  # 1 to 4, and 7 to 8
    assert starved.between(2.0, 7.5) == 2.5
    assert starved.between(5.0, 6.0) == 0.0
