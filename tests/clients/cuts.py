"""What happens to the clients: each cut is a function of a `Trial`, which has all clients at once.

Thirty rows go through each. Rows that come while a client is away are the ones that are easily
lost, so every cut has some.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from tests.clients.proxy import Stop, StopAfterBytes
from tests.clients.reader import Reader
from tests.clients.roster import Client
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.sse import Stream

STREAM = "/stream"
FROM_THE_BEGINNING = "/stream?last_event_id=0"
MAX_STREAMS = 64
AWAY_S = 8.0
TIMEOUT_S = 60.0
MANY_ROWS = 6_000
KILLS = 5
# As hard to keep as text can be: four bytes, and what some take for the end of a line.
TEXT = "ü 漢 𝄞 \u2028 \x85 data: \\n"


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


def between_frames(trial: Trial) -> None:
    """Three times, after a row."""
    trial.be_live()
    for _ in range(3):
        trial.stop_at(Stop("row", 4))
        trial.insert(5)
        trial.wait_stopped()
        trial.insert(4)
        trial.cut()
    trial.insert(3)


def inside_a_frame(trial: Trial) -> None:
    """In the data, behind it, in the id."""
    trial.be_live()
    for part in ("in data", "after data", "in id"):
        trial.stop_at(Stop("row", 3, part))
        trial.insert(5)
        trial.wait_stopped()
        trial.insert(4)
        trial.cut()
    trial.insert(3)


def before_the_blank_line(trial: Trial) -> None:
    """The id line is complete, the frame is not: the one byte that some clients lose a row by."""
    trial.be_live()
    trial.stop_at(Stop("row", 10, "after id"))
    trial.insert(15)
    trial.wait_stopped()
    trial.cut()
    trial.insert(15)


def before_the_first_row(trial: Trial) -> None:
    """Three times, when a client was told where its stream begins, and nothing else."""
    trial.stop_at(Stop("live"))
    trial.open()
    for _ in range(3):
        trial.wait_stopped()
        trial.insert(7)
        trial.cut(Stop("start"))
    trial.wait_stopped()
    for reader in trial.readers:
        reader.proxy.pass_rest()
    trial.insert(9)


def chunks_cut_anew(trial: Trial) -> None:
    """No cut: a proxy that makes other chunks of the answer, of 20 bytes, across its frames."""
    for reader in trial.readers:
        reader.proxy.chunk_bytes = 20
    trial.open(FROM_THE_BEGINNING)
    for _ in range(3):
        trial.insert(10)
        trial.wait_for_last_row()


def killed(trial: Trial) -> None:
    """`kill -9` for the worker, twice; another one takes its place."""
    trial.be_live()
    for _ in range(2):
        trial.insert(10)
        trial.wait_for_last_row()
        trial.kill_worker()
    trial.insert(10)


def gone(trial: Trial) -> None:
    """Nobody listens for eight seconds."""
    trial.be_live()
    trial.insert(10)
    trial.wait_for_last_row()
    trial.server.end()
    for reader in trial.readers:
        reader.proxy.refuse()
    trial.insert(10)
    time.sleep(AWAY_S)  # the cut itself
    trial.server.start()
    for reader in trial.readers:
        reader.proxy.accept()
    trial.insert(10)


def drained(trial: Trial) -> None:
    """SIGTERM, and another server on the same port."""
    trial.be_live()
    trial.insert(10)
    trial.wait_for_last_row()
    trial.server.terminate()
    trial.insert(10)
    trial.server.start()
    trial.insert(10)


def over_capacity(trial: Trial) -> None:
    """All places are taken when the client comes back; it has to try again until one is free."""
    trial.be_live()
    trial.insert(10)
    trial.wait_for_last_row()
    for reader in trial.readers:
        reader.proxy.hold()
        reader.proxy.cut()
    turned_away = "rowcast_rejections_total"
    wait_until(lambda: not trial.server.metric("rowcast_streams"), 30, "no stream is left")
    places = [Stream(trial.server.stream_url).wait_open() for _ in range(MAX_STREAMS)]
    before = trial.server.metric(turned_away)
    answers = {reader.client: len(reader.proxy.statuses) for reader in trial.readers}
    for reader in trial.readers:
        reader.proxy.let_in()
    trial.wait("being sent away", lambda one: len(one.proxy.statuses) > answers[one.client])
    assert trial.server.metric(turned_away) - before >= len(trial.readers)
    trial.insert(10)
    for place in places:
        place.close()
    trial.insert(10)


def reset(trial: Trial) -> None:
    """The table begins again. A client is told once, before any row of the new one."""
    trial.be_live()
    trial.insert(15)
    trial.wait_for_last_row()
    sql.execute(trial.database_url, "DELETE FROM posts")
    sql.execute(trial.database_url, "DELETE FROM sqlite_sequence")
    sql.execute(trial.database_url, "INSERT INTO posts (author, body) VALUES ('a', 'unseen')")
    trial.wait("a reset", lambda one: one.resets)
    trial.insert(15)


def closed(trial: Trial) -> None:
    """The feed is ended: 204, after which a client is to stay away."""
    trial.be_live()
    trial.insert(30)
    trial.wait_for_last_row()
    assert request(f"{trial.server.url}/close", "POST").status == 200
    trial.wait("a 204", lambda one: 204 in one.proxy.statuses)
    trial.wait("what it does then", lambda one: one.closed or one.proxy.statuses.count(204) > 1)


def killed_while_catching_up(trial: Trial) -> None:
    """`kill -9` five times, wherever each client is in 6,000 rows."""
    trial.insert(MANY_ROWS, TEXT * 10)
    chosen = Random(KILLS)

    def some_bytes() -> StopAfterBytes:
        return StopAfterBytes(chosen.randint(20_000, 200_000))

    for reader in trial.readers:
        reader.proxy.stop_at(some_bytes())
    trial.open(FROM_THE_BEGINNING)
    for kill in range(1, KILLS + 1):
        trial.wait_stopped()
        trial.kill_worker()
        for reader in trial.readers:
            # What the dead server has sent still comes, up to the middle of a frame.
            reader.proxy.pass_rest(some_bytes() if kill < KILLS else None)
    trial.wait("its sixth request", lambda one: len(one.proxy.requests) > KILLS)


Cut = Callable[[Trial], None]
CUTS: dict[str, Cut] = {
    "between frames": between_frames,
    "inside a frame": inside_a_frame,
    "before the blank line": before_the_blank_line,
    "before the first row": before_the_first_row,
    "chunks cut anew": chunks_cut_anew,
    "killed": killed,
    "gone for 8 s": gone,
    "drained": drained,
    "over capacity": over_capacity,
    "reset": reset,
    "closed": closed,
    "killed while catching up": killed_while_catching_up,
}


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
