"""What the poller tells of its gaps."""

from poller.ids.gaps import Gaps, Part
from poller.polling.report import PollReport
from tests.harness.logged import logged
from tests.harness.simulation import SimulatedLocks, SimulatedTable


def test_a_gap_that_stays_open_is_logged_once_with_its_holder() -> None:
    report = PollReport("posts")
    gap = Part(((3, 4),), frozenset(["pid 7"]), 0.0)
    holders = SimulatedLocks(SimulatedTable()).holders
    with logged() as lines:
        for now in (1.0, 59.0, 61.0, 62.0, 200.0):
            report.gaps(Gaps((gap,)), 0, 0, holders, now)
        assert [(one["ids"], one["holders"]) for one in lines] == [([[3, 4]], ["pid 7"])]
        later = Part(((9, 9),), frozenset(["pid 8"]), 150.0)
        report.gaps(Gaps((gap, later)), 0, 0, holders, 211.0)
    assert [one["ids"] for one in lines] == [[[3, 4]], [[9, 9]]]


def test_a_read_that_takes_long_though_little_is_there_is_logged_once_a_minute() -> None:
    report = PollReport("posts")
    with logged() as lines:
        report.found_all(0.4, 1_000_000, 7, 100.0)
        assert lines == []
        for now in (101.0, 102.0, 160.9):
            report.found_all(0.754, 1_000_007, 7, now)
        assert [(one["seconds"], one["ids_above"]) for one in lines] == [(0.75, 1_000_000)]
        report.found_all(3.0, None, 7, 161.1)
    assert [one["ids_above"] for one in lines] == [1_000_000, None]
