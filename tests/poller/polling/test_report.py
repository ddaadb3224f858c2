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
