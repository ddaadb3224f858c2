"""What happens to the clients: each cut is a function of a `Trial`, which has all clients at once.

Thirty rows go through each. Rows that come while a client is away are the ones that are easily
lost, so every cut has some.
"""

import time
from collections.abc import Callable
from random import Random

from tests.clients.stops import Stop, StopAfterBytes
from tests.clients.trial import TEXT, Trial
from tests.harness import sql
from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.sse import Stream

FROM_THE_BEGINNING = "/stream?last_event_id=0"
MAX_STREAMS = 64
AWAY_S = 8.0
MANY_ROWS = 6_000
KILLS = 5


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
    wait_until(lambda: not trial.server.metric("rowcast_streams_open"), 30, "no stream is left")
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
