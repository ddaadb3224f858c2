"""The hour as lines, and who is who among the workers of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from poller.status.figures import Counts, Sample
from poller.status.folder import Told
from poller.status.hour import POINTS, STEP_S, hour_of
from poller.status.machine import Machine, workers_of
from poller.status.quantiles import quantile
from tests.poller.status.machines import AT, WELL, took, worker

GRID = AT // STEP_S * STEP_S
NOW = worker().now


def told(
    name: str, began: float, until: float = AT, *, lives: bool = True, draining: bool = False
) -> Told:
    """A worker that polls twice a second and has 5 streams."""
    times = [at for at in range(int(began), int(until) + 1, 10) if at > AT - 3600]
    hour = [_sample(at, at - began) for at in times]
    now = replace(
        NOW, began=began, sample=_sample(until, until - began), draining=draining, at=until - AT
    )
    return Told(name, now, hour, lives)


def _sample(at: float, age: float) -> Sample:
    counts = Counts(streams=5, polls=2 * age, rows=age, lag=took(*[0.2] * (int(age) // 10)))
    return Sample(at, age / 10, 90_000_000, 0.0, {"orders": counts})


def machine_of(*some: Told) -> Machine:
    return Machine(AT, "", ["orders"], workers_of(some, 0.0, AT))


def test_counters_become_rates_and_gauges_stay_as_they_are() -> None:
    hour = hour_of(machine_of(told("a", GRID - 600)))
    assert len(hour["polls"][0]) == POINTS
    assert hour["from"] + STEP_S * (POINTS - 1) == GRID
    known = [one for one in hour["polls"][0] if one is not None]
    assert 30 <= len(known) <= 31
    assert {*known} == {2.0}
    assert {*hour["streams"][0]} == {None, 5.0}
    assert {*hour["rows"][0]} == {None, 0.0, 1.0}  # 0: what there was before it
    assert {*hour["cpu"][0]} == {None, 10.0}
    assert {*hour["memory"][0]} == {None, 90.0}
    assert hour["delay"][0][-2] == pytest.approx(0.175)  # the middle of its bucket


def test_a_worker_takes_the_slot_of_the_one_that_it_replaces() -> None:
    """A rolling deploy of two workers: two lines, each going on, and one mark."""
    machine = machine_of(
        told("a", GRID - 9000, GRID - 1000, lives=False, draining=True),
        told("b", GRID - 9000, GRID - 980, lives=False, draining=True),
        told("c", GRID - 990),
        told("d", GRID - 970),
    )
    assert [(one.slot, one.now.began - GRID) for one in machine.workers] == [
        (1, -9000), (1, -990), (2, -9000), (2, -970),
    ]  # fmt: skip
    hour = hour_of(machine)
    assert hour["slots"] == [1, 2]
    assert [line.count(None) for line in hour["polls"]] <= [2, 2]
    assert hour["marks"] == [{"at": GRID - 990, "workers": 2}]


def test_a_worker_that_begins_before_the_one_it_replaces_has_ended_takes_its_slot_then() -> None:
    """A reload: two more lines while both are there, and none more afterwards."""
    before = [told(name, GRID - 9000, GRID - 5) for name in "ab"]
    after = [told(name, GRID - 30) for name in "cd"]
    both = machine_of(*before, *after)
    assert [one.slot for one in both.workers] == [1, 2, 3, 4]
    ended = [one._replace(lives=False, now=replace(one.now, draining=True)) for one in before]
    assert [one.slot for one in machine_of(*ended, *after).workers] == [1, 1, 2, 2]


def test_rows_are_not_counted_once_a_worker_but_streams_are() -> None:
    hour = hour_of(machine_of(told("a", GRID - 600), told("b", GRID - 600)))
    assert [len(hour[name]) for name in ("rows", "streams", "polls", "gaps", "lost")] == [
        1,
        2,
        2,
        1,
        1,
    ]
    assert hour["rows"][0][-3] == 1.0


def test_what_a_worker_reads_at_its_start_did_not_come_then() -> None:
    """Of 1,000 rows of before none is news; of those that came since all are."""
    began = GRID - 600
    fresh = told("a", began)
    hour = [
        replace(one, feeds={"orders": replace(one.feeds["orders"], rows=rows)})
        for one, rows in zip(fresh.hour, [0, 1000, *range(1001, 2000)], strict=False)
    ]
    now = replace(fresh.now, sample=hour[-1])
    machine = machine_of(fresh._replace(hour=hour, now=now))
    assert machine.seen("orders", "rows", 3600) == len(hour) - 2
    known = [one for one in hour_of(machine)["rows"][0] if one is not None]
    assert max(known) <= 0.11


def test_nobody_is_no_line_and_no_error() -> None:
    hour = hour_of(Machine(AT, "", ["orders"], []))
    assert hour["slots"] == hour["polls"] == hour["marks"] == []
    assert hour["gaps"] == [[None] * POINTS]


def test_who_ended_more_than_an_hour_ago_is_forgotten() -> None:
    machine = machine_of(
        told("a", AT - 9000, AT - 4000, lives=False, draining=True), told("b", AT - 60)
    )
    assert len(machine.workers) == 1


@pytest.mark.parametrize(
    ("share", "durations", "estimate"),
    [
        (0.5, (), None),
        (0.5, (0.2,) * 4, 0.175),
        (0.99, (0.2,) * 99 + (9.0,), 0.25),
        (1.0, (0.2,) * 99 + (9.0,), 10.0),
        (0.5, (99.0,), 10.0),
        (0.5, (0.0005,) * 2, 0.0005),
    ],
)
def test_quantiles_are_estimated_as_prometheus_does(
    share: float, durations: tuple[float, ...], estimate: float | None
) -> None:
    found = quantile(share, took(*durations))
    assert found == (None if estimate is None else pytest.approx(estimate))


def test_counts_are_added_and_subtracted() -> None:
    one, two = Counts(streams=1, gaps=2, polls=5, lag=took(0.2)), Counts(gaps=1, polls=3, lag=())
    assert one.plus(two) == Counts(streams=1, gaps=2, polls=8, lag=took(0.2), poll=())
    assert two.plus(one).since(two) == Counts(streams=1, gaps=2, polls=5, lag=took(0.2))
    assert WELL.name == "orders"
