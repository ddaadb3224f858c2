"""One soak: clients come and go, rows are written, workers are sampled; then all leave."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.soak.crowd import Crowd
from tests.campaigns.soak.verdict import Report, Rest
from tests.campaigns.soak.workers import Workers
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.sse import Stream

WORKERS = 2
BODY = "x" * 200
# The log is full, and SQLite's cache warm, before anything is measured: both grow with the rows.
LOG_ROWS = 500
OLD_ROWS = 10_000
# Within some minutes a worker takes its last 2 or 3 MB at one go, and stays there.
WARM_UP_S = 300.0
SETTLED_S = 60.0
ENDING_S = 0.2
# What a client lacks up to id 200, as runs downwards: a few ids, a wide range, both, and the same
# with two ranges. And how many rows that is.
OTHER_SHAPES = {"1": 1, "40": 40, "1,1,40": 41, "40,1,40": 80, "1,1,40,1,40": 81}
WARM_S, WARM_CONNECTS_PER_S, WARM_ROWS_PER_S = 3.0, 50.0, 20.0  # what a first stream brings along


@dataclass(frozen=True)
class Plan:
    """How long, and how much of everything."""

    seconds: float
    connects_per_s: float = 50.0
    rows_per_s: float = 20.0
    sample_every_s: float = 5.0
    fanout: bool = True

    @property
    def judges_memory(self) -> bool:
        """Whether there is as much time after the warm-up as in it."""
        return self.seconds >= 2 * WARM_UP_S

    @property
    def warm_up_s(self) -> float:
        """What is sampled before does not count for the slope."""
        return WARM_UP_S if self.judges_memory else 0.0


class Writer:
    """Commits rows at a steady rate, called often."""

    def __init__(self, url: str, rows_per_s: float) -> None:
        self._url = url
        self._rows_per_s = rows_per_s
        self._began_s = time.monotonic()
        self.rows = 0

    def write_due(self) -> None:
        due = int((time.monotonic() - self._began_s) * self._rows_per_s) - self.rows
        if due > 0:
            sql.insert_posts(self._url, [BODY] * due)
            self.rows += due


def run(plan: Plan, folder: Path, progress: Callable[[str], None]) -> Report:
    url = f"sqlite:///{folder / 'soak.sqlite3'}"
    env = {
        "DATABASE_URL": url,
        "ROWCAST_LOG_CAPACITY": str(LOG_ROWS),
        "ROWCAST_FANOUT": str(plan.fanout).lower(),
    }
    with Gunicorn(folder, env, workers=WORKERS, app="tests.campaigns.soak.census_app:app") as wall:
        wall.wait_ready()
        warm(wall, url)
        workers = Workers(wall, plan.sample_every_s)
        before = Rest(workers.descriptors(), workers.census())
        crowd = Crowd(wall.stream_url, plan.connects_per_s)
        writer = Writer(url, plan.rows_per_s)

        def beside() -> None:
            writer.write_due()
            workers.sample_when_due()
            left_s = plan.seconds - workers.hours * 3600
            progress(f"{left_s:5.0f} s left, {crowd.connects} connects, {len(crowd.here)} open, "
                     f"{writer.rows} rows, {sum(crowd.wrong.values())} wrong")  # fmt: skip

        try:
            crowd.begin()
            crowd.run(plan.seconds, beside)
            read_to_the_end(crowd, url)
        finally:
            crowd.end()
        settled, after = at_rest(wall, workers, before)
        from_h = plan.warm_up_s / 3600
        slopes = {pid: one.memory_slope(from_h) for pid, one in workers.samples.items()}
        same = wall.worker_pids() == sorted(workers.samples)
        return Report(crowd.connects, crowd.rows, crowd.wrong, slopes, before, after, settled, same)


def warm(wall: Gunicorn, url: str) -> None:
    """Each worker has read old rows, and served streams on every way there is to catch up."""
    sql.insert_posts(url, [BODY] * OLD_ROWS)
    for pid in wall.worker_pids():
        with wall.only_worker(pid), Stream(wall.stream_url, "0") as stream:
            stream.wait_for_rows(OLD_ROWS, 60)
            epoch, _, position = stream.last_event_id.partition(".")
        # Statements of other shapes, which are made once and kept.
        for gaps, lacking in OTHER_SHAPES.items():
            lacks = f"{epoch}.{position}!{int(position) - 200},{gaps}"
            with wall.only_worker(pid), Stream(wall.stream_url, lacks) as stream:
                stream.wait_for_rows(lacking)
    crowd = Crowd(wall.stream_url, WARM_CONNECTS_PER_S, seed=0)
    crowd.begin()
    crowd.run(WARM_S, Writer(url, WARM_ROWS_PER_S).write_due)
    crowd.end()
    wait_until(lambda: wall.metric("rowcast_streams_open") == 0, SETTLED_S, "nobody is there")


def read_to_the_end(crowd: Crowd, url: str) -> None:
    """Nobody new comes, who was away comes back, and those who stay get the last row."""
    last = sql.post_ids(url)[-1]
    end_s = time.monotonic() + SETTLED_S
    crowd.all_come_back()
    while not crowd.all_have(last) and time.monotonic() < end_s:
        crowd.run(ENDING_S, lambda: None, arrivals=False)
    if not crowd.all_have(last):
        crowd.wrong["the end was not reached"] += 1


def at_rest(wall: Gunicorn, workers: Workers, before: Rest) -> tuple[bool, Rest]:
    """Whether no stream is counted, and no more descriptors and greenlets are there than before;
    and what is there."""
    end_s = time.monotonic() + SETTLED_S
    while True:
        now = Rest(workers.descriptors(), workers.census())
        settled = not now.more_than(before) and wall.metric("rowcast_streams_open") == 0
        if settled or time.monotonic() > end_s:
            return settled, now
        time.sleep(ENDING_S)
