"""A server, a table, and all the clients that read it; and what they have at the end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from tests.clients.reader import Reader
from tests.clients.roster import Client
from tests.clients.stops import Stop
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until

TIMEOUT_S = 60.0
# As hard to keep as text can be: four bytes, and what some take for the end of a line.
TEXT = "ü 漢 𝄞 \u2028 \x85 data: \\n"
STREAM = "/stream"


@dataclass
class Trial:
    """A server, its table, and the clients that read it. One that fails is left behind."""

    server: Gunicorn
    database_url: str
    readers: list[Reader]
    rows: list[str] = field(default_factory=list)  # that every client is to get, in this order
    problems: dict[Client, str] = field(default_factory=dict)
    is_open: bool = False

    def open(self, path: str = STREAM) -> None:
        self.is_open = True
        for reader in self.readers:
            reader.open(path)

    def be_live(self) -> None:
        """Each is connected, and gets what comes from now on."""
        if not self.is_open:
            self.stop_at(Stop("live"))
            self.open()
            self.wait_stopped()
            for reader in self.readers:
                reader.proxy.pass_rest()

    def insert(self, count: int, text: str = TEXT) -> None:
        new = [f"{len(self.rows) + number} {text}" for number in range(1, count + 1)]
        sql.insert_posts(self.database_url, new)
        self.rows += new

    def stop_at(self, stop: Stop) -> None:
        for reader in self.readers:
            reader.proxy.stop_at(replace(stop))

    def cut(self, next_stop: Stop | None = None) -> None:
        for reader in self.readers:
            reader.proxy.cut(next_stop and replace(next_stop))

    def kill_worker(self) -> None:
        for pid in self.server.worker_pids():
            self.server.kill_worker(pid)

    # -- waiting for all --------------------------------------------------------------------

    def wait(self, what: str, fact: Callable[[Reader], object]) -> None:
        """Until it holds for every client; those of which it does not hold in time are out."""
        end_s = time.monotonic() + TIMEOUT_S
        for reader in list(self.readers):
            try:
                wait_until(partial(_holds, fact, reader), end_s - time.monotonic(), what)
            except AssertionError:
                self.problems[reader.client] = f"not in time: {what}\n{reader.log()}"
                self.readers.remove(reader)
                reader.proxy.refuse()

    def wait_stopped(self) -> None:
        self.wait("the place where its connection is to be cut", lambda one: one.proxy.stopped)

    def wait_for_last_row(self) -> None:
        """Each has the newest row. Rows come in order: what it lacks then is lost."""
        self.wait("the last row", lambda one: one.rows and one.rows[-1] == self.rows[-1])


def _holds(fact: Callable[[Reader], object], reader: Reader) -> bool:
    held = bool(fact(reader.look()))
    assert held or not reader.died, "it has ended"
    return held


@dataclass(frozen=True)
class Outcome:
    """What a client has at the end of a cut."""

    wanted: int
    received: int  # of those, each counted once
    doubled: int
    foreign: int  # rows that are not as they were written
    resets: int
    stayed_away: bool
    problem: str

    @property
    def well(self) -> bool:
        flawless = not self.doubled and not self.foreign and not self.problem
        return flawless and self.received == self.wanted


def outcome(trial: Trial, reader: Reader) -> Outcome:
    counts = Counter(reader.look().rows)
    received = sum(1 for row in trial.rows if counts[row])
    return Outcome(
        wanted=len(trial.rows),
        received=received,
        doubled=counts.total() - len(counts),
        foreign=len(counts.keys() - set(trial.rows)),
        resets=len(reader.resets),
        stayed_away=reader.closed,
        problem=trial.problems.get(reader.client, ""),
    )
