"""A transaction that stays open, while others burn an id beside each row that they commit.

Each burnt id is a gap that the open transaction may own, so that nobody can call it dead: they grow
by the thousand. Beside it a crowd of clients comes and goes, and `/healthz` is asked all the time.
Nothing may be delayed by that, neither while it is open nor after it has ended.
"""

import random
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.oracle import clients, journal, observer
from tests.campaigns.oracle.cast import Cast
from tests.campaigns.oracle.delays import Delays, delays
from tests.campaigns.oracle.ending import write_sentinel
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import Fault, Record, now_s
from tests.campaigns.oracle.scenarios import SERVED_APP
from tests.campaigns.oracle.table import prepare, read_truth
from tests.campaigns.oracle.verdict import Report, report
from tests.harness.gunicorn import Gunicorn

POLL_INTERVAL_S = 0.5
ASK_EVERY_S = 0.1
WRITER = "steady"
SERVER = {
    "ROWCAST_POLL_INTERVAL": str(POLL_INTERVAL_S),
    "ROWCAST_RETRY": "300",
    "ROWCAST_HEARTBEAT": "1",
}


@dataclass(frozen=True)
class HeldPlan:
    """Seconds without the open transaction, with it, and without it again. `rate`: rows a second.

    `longest_wait_s`: see `Record`.
    """

    before_s: float = 20.0
    hold_s: float = 120.0
    after_s: float = 60.0
    rate: float = 150.0
    longest_wait_s: float | None = None


@dataclass(frozen=True)
class Held:
    """What was measured. Of `blocked_s` and `healthz_p99_s` the machine's share is part of the
    second only."""

    plan: HeldPlan
    gaps: int  # open at once, at most
    before: Delays
    meanwhile: Delays
    after: Delays
    healthz_p99_s: float
    blocked_s: float  # the hub of the worker, in one piece
    report: Report


def run(url: str, plan: HeldPlan, folder: Path) -> tuple[Held, Record]:
    """Runs it, with its journals in `folder`."""
    with ExitStack() as stack:
        return _Run(url, plan, folder, stack).run()


class _Run:
    def __init__(self, url: str, plan: HeldPlan, folder: Path, stack: ExitStack) -> None:
        self._url = url
        self._plan = plan
        self._folder = folder
        self._journal = Journal(folder / "conductor.jsonl")
        stack.callback(self._journal.close)
        self._cast = Cast(url, 0, folder, stack)
        env = {"DATABASE_URL": url, observer.VARIABLE: str(folder), **SERVER}
        self._server = stack.enter_context(Gunicorn(folder, env, app=SERVED_APP))
        self._healthz = Healthz(self._server)
        stack.callback(self._healthz.end)

    def run(self) -> tuple[Held, Record]:
        self._server.wait_ready()
        prepare(self._url)
        names = [habit.name for cast in ("one", "crowd") for habit in clients.CASTS[cast]]
        self._start()
        time.sleep(self._plan.before_s)
        self._cast.write("holder", "holder")
        begins_s = now_s()
        time.sleep(self._plan.hold_s)
        ends_s = now_s()
        self._cast.end("holder")
        time.sleep(self._plan.after_s)
        self._cast.end_writing()
        healthz = self._healthz.end()
        paths = [journal.client_path(self._folder, name) for name in names]
        write_sentinel(self._url, self._journal, paths, random.Random(0))
        return self._held(begins_s, ends_s, healthz)

    def _start(self) -> None:
        began_s = now_s()
        for cast in ("one", "crowd"):
            own = [habit.name for habit in clients.CASTS[cast]]
            self._cast.read(cast, own, [self._server.stream_url])
        self._cast.measure()
        self._cast.write(WRITER, "steady", "--rate", self._plan.rate)
        self._cast.wait_written(WRITER)
        self._journal.write(Fault("started", began_s, now_s(), True))
        self._healthz.start()

    def _held(self, begins_s: float, ends_s: float, healthz: list[float]) -> tuple[Held, Record]:
        self._journal.write(read_truth(self._url))
        record = journal.load(self._folder)
        record.writers, record.in_order = [WRITER], True
        record.planned_deeds, record.watched = ["burnt", "held"], True
        record.longest_wait_s = self._plan.longest_wait_s
        found = Held(
            self._plan,
            max((one.gaps for one in record.passes), default=0),
            delays(record, before_s=begins_s),
            delays(record, begins_s, ends_s),
            delays(record, ends_s),
            sorted(healthz)[int(len(healthz) * 0.99)] if healthz else 0.0,
            max((one.blocked_s - one.starved_s for one in record.beats), default=0.0),
            report(record),
        )
        return found, record


class Healthz:
    """Asks `/healthz` all the time, in a thread."""

    def __init__(self, server: Gunicorn) -> None:
        self._server = server
        self._took_s: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> list[float]:
        """Seconds that each answer took."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        return self._took_s

    def _ask(self) -> None:
        while not self._ended.wait(ASK_EVERY_S):
            began_s = now_s()
            assert self._server.get("/healthz").status == 200
            self._took_s.append(now_s() - began_s)
