"""The server with one mistake planted: the checker must call each by its name.

| mutant | what it does | anomaly |
|---|---|---|
| naive cursor | the cursor is a number, gaps are forgotten | lost |
| replay begins late | a client that comes back misses a row of the ring | lost |
| replay begins early | … or has one twice | duplicated |
| drop when slow | a client that fell out of the ring goes on at its head | lost |
| Last-Event-ID ignored | every stream begins "from now" | lost |
| gap closed by time | a gap is dead after 0.2 s | silent hole |
| fence read after the rows | a writer that commits in between is taken for gone | silent hole |
| reset swallowed | a new history goes out as if it were the old one | missed reset |

Nothing of this is in the product: `served_app.py` plants one, chosen by the environment.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gevent
from sqlalchemy import Connection

from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.ids.cursor import Cursor
from poller.ids.gaps import NOBODY, Gaps
from poller.polling.loop import Poller
from poller.reading.fence import HolderFence, Pass
from poller.reading.source import Source
from poller.wire import event_id
from tests.campaigns.oracle.patches import patch

VARIABLE = "MUTANT"
CLOSED_AFTER_S = 0.2
# Between the rows and the fence: so long that the scenario's commits fall into it.
WIDENED_RACE_S = 1.0


@dataclass(frozen=True)
class Mutant:
    """`scenario` is the name of a function in `scenarios.py`."""

    plant: Callable[[], None]
    scenario: str
    anomaly: str


def naive_cursor() -> None:
    def make(_: Any) -> Any:
        return lambda *_: None

    patch(HolderFence, "judge", make)


def _replay_shifted(by: int) -> Callable[[], None]:
    def make(locate: Any) -> Any:
        def located(self: EventLog, position: int, mark: int) -> Any:
            found = locate(self, position, mark)
            return found if found is None or found[0] == self.head else (found[0] + by, found[1])

        return located

    return lambda: patch(EventLog, "locate", make)


def drop_when_slow() -> None:
    def make(next_chunk: Any) -> Any:
        def chunk(self: Subscriber) -> Any:
            place = self._place
            if place.live and place.seq < self._log.oldest:
                place.seq, place.held = self._log.head, self._log.held
            return next_chunk(self)

        return chunk

    patch(Subscriber, "next_chunk", make)


def last_event_id_ignored() -> None:
    def make(_: Any) -> Any:
        return lambda _text: None

    patch(event_id, "parse_last_event_id", make)


def gap_closed_by_time() -> None:
    def make(advance: Any) -> Any:
        def advanced(self: Poller, *arguments: Any, **options: Any) -> None:
            advance(self, *arguments, **options)
            assert self._held is not None
            old = time.monotonic() - CLOSED_AFTER_S
            dead = Gaps(tuple(part for part in self._gaps.open if part.since < old))
            kept = tuple(part for part in self._gaps.open if part.since >= old)
            self._gaps = replace(self._gaps, open=kept)
            self._held = self._log.held = self._held.then(dead.ranges())

        return advanced

    patch(Poller, "_advance", make)


def fence_read_after_the_rows() -> None:
    def make(_: Any) -> Any:
        def read(
            self: Source, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool = False
        ) -> Pass:
            def work(connection: Connection) -> Pass:
                reading = self.table.poll(connection, cursor, limit)
                gevent.sleep(WIDENED_RACE_S)
                evidence = self.fence.look(connection, cursor.gaps) if gaps.all else None
                return Pass(evidence, NOBODY, reading)

            return self._database.read(work)

        return read

    patch(Source, "read", make)


def reset_swallowed() -> None:
    def make(_: Any) -> Any:
        def swallowed(self: Subscriber, _reason: str) -> bytes:
            self._resuming = None
            self._place.begin(self._log.held, self._log.head)
            return self._start(resumed=False)

        return swallowed

    patch(Subscriber, "_reset", make)


MUTANTS = {
    "naive cursor": Mutant(naive_cursor, "late_commits", "lost"),
    "replay begins late": Mutant(_replay_shifted(1), "coming_back", "lost"),
    "replay begins early": Mutant(_replay_shifted(-1), "coming_back", "duplicated"),
    "drop when slow": Mutant(drop_when_slow, "slow_reader", "lost"),
    "Last-Event-ID ignored": Mutant(last_event_id_ignored, "coming_back", "lost"),
    "gap closed by time": Mutant(gap_closed_by_time, "late_commits", "silent hole"),
    "fence read after the rows": Mutant(fence_read_after_the_rows, "late_commits", "silent hole"),
    "reset swallowed": Mutant(reset_swallowed, "truncation", "missed reset"),
}
