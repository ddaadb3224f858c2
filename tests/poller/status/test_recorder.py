"""The recorder: what a process writes of itself, when, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest

from poller.access.admission import Admission
from poller.access.capacity import Capacity
from poller.runtime import metrics
from poller.runtime.settings import Settings
from poller.status import recorder as recorders
from poller.status.figures import SAMPLE_S, Counts, counted
from poller.status.recorder import Recorder
from poller.status.worker import Heard, Reporting, memory_bytes
from tests.harness.greenlets import until
from tests.poller.status.machines import took

LABEL = "recorded"


class Service:
    """One with a feed that is not polled."""

    def __init__(self) -> None:
        poller = SimpleNamespace(last_poll_at=None, problem=None, interval_s=0.5)
        feed = SimpleNamespace(
            name=LABEL,
            label=LABEL,
            poller=poller,
            database=SimpleNamespace(dialect="sqlite"),
            exceptions=[],
            described=False,
            watcher=None,
            watch=SimpleNamespace(window=None),
            problem=lambda: "the table has not been read yet",
            status=lambda: {"limits": []},
            shows=lambda _: False,
        )
        self.url_prefix, self.draining = "", False
        self.settings, self.feeds = Settings(), {LABEL: feed}
        self.admission, self.capacity = Admission(100), Capacity.within(1000)


@pytest.fixture
def service() -> Reporting:
    return cast("Reporting", Service())


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(recorders, "TICK_S", 0.01)
    monkeypatch.setattr(recorders, "STATE_S", 0.01)
    made = Recorder()
    made.folder.open(tmp_path)
    yield made
    made.folder.close()


def test_a_sample_is_taken_at_the_start_and_at_the_end(
    recorder: Recorder, service: Reporting
) -> None:
    recorder.begin(service, "a server")
    recorder.begin(service, "a server")
    until(recorder.own_hour, "the first sample")
    assert len(recorder.own_hour()) == 1
    recorder.drop(service)
    recorder.drop(service)
    assert len(recorder.own_hour()) == 2


def test_the_state_is_written_while_somebody_looks(
    recorder: Recorder, service: Reporting, tmp_path: Path
) -> None:
    recorder.begin(service, "a server")
    until(recorder.own_hour, "the first sample")
    (state,) = tmp_path.rglob("*.now")
    written = state.stat().st_mtime_ns
    for _ in range(20):
        gevent.sleep(0.01)
    assert state.stat().st_mtime_ns == written  # nobody looks: each SAMPLE_S is enough
    recorder.look()
    until(lambda: state.stat().st_mtime_ns != written, "that it is written again")
    recorder.drop(service)


def test_an_event_loop_that_stands_still_is_noticed(recorder: Recorder, service: Reporting) -> None:
    recorder.begin(service, "a server")
    until(recorder.own_hour, "the first sample")
    time.sleep(0.3)  # a route that lets nobody run
    assert recorder.now().sample.late_s >= 0.25
    gevent.sleep(0.05)
    assert recorder.now().sample.late_s >= 0.25  # until the next sample has told it
    recorder.drop(service)


def test_what_fails_is_told_once_and_tried_again(
    recorder: Recorder,
    service: Reporting,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    tmp_path: Path,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(recorder.folder, "write", full)
        recorder.begin(service, "a server")
        recorder.look()
        until(lambda: "No space left" in caplog.text, "a line in the log")
        gevent.sleep(0.05)
        assert caplog.text.count("no history for the status page") == 1
    until(lambda: [*tmp_path.rglob("*.now")], "that it is tried again")
    recorder.drop(service)


def test_counts_are_those_of_the_metrics() -> None:
    metrics.polls.labels(LABEL).inc(3)
    metrics.resets.labels(LABEL, "history-changed").inc(2)
    metrics.resets.labels(LABEL, "malformed-id").inc()
    metrics.rejections.labels(LABEL, "full").inc(4)
    metrics.streams_cut.labels(LABEL).inc(5)
    metrics.poll_seconds.labels(LABEL).observe(0.003)
    metrics.poll_seconds.labels(LABEL).observe(99)
    told = counted([LABEL, "nobody"])
    counts = told[LABEL]
    assert (counts.polls, counts.full, counts.crowded, counts.cut) == (3, 4, 0, 5)
    assert (counts.resets, counts.history_resets) == (3, 2)
    assert counts.poll == took(0.003, 99)
    assert told["nobody"].polls == 0


def test_delays_that_nobody_had_do_not_count() -> None:
    heard = Heard()
    assert sum(heard("a", Counts(lag=took(4.0))).lag) == 0
    assert sum(heard("a", Counts(streams=1, lag=took(4.0, 4.0))).lag) == 1  # somebody came
    assert sum(heard("a", Counts(streams=1, lag=took(4.0, 4.0, 0.2))).lag) == 2
    assert sum(heard("a", Counts(lag=took(4.0, 4.0, 0.2, 0.2))).lag) == 3  # and left
    assert sum(heard("a", Counts(lag=took(*[4.0] * 9))).lag) == 3


def test_memory_is_told_in_bytes() -> None:
    assert 10e6 < memory_bytes() < 10e9


def test_what_nobody_looks_at_costs_nearly_nothing(tmp_path: Path, service: Reporting) -> None:
    """By CPU time, with the greatest number of samples in the file: 0.2 % of a core at most."""
    recorder = Recorder()
    recorder.folder.open(tmp_path)
    recorder.begin(service, "a server")
    until(recorder.own_hour, "the first sample")
    rounds = 50
    began = time.thread_time()
    for _ in range(rounds):
        recorder._write(sample=True)
    each_s = (time.thread_time() - began) / rounds
    recorder.drop(service)
    recorder.folder.close()
    assert each_s / SAMPLE_S < 0.002
