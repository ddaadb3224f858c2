"""A feed: one watched table as a live stream. Table, poller, log and subscribers, put together.

It knows no Flask: `Notifier` routes requests to it.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import gevent
from sqlalchemy.exc import SQLAlchemyError

from poller import metrics, sse
from poller.backfill import Backfill
from poller.database import Database, DatabaseTimeout
from poller.delivery import Subscriber
from poller.event_log import EventLog
from poller.loop import Poller
from poller.settings import Settings
from poller.source import Source
from poller.table import Table, TableError, source_name

LATE_POLLS = 10  # so many intervals without a poll, and the feed is not ready
LATE_AFTER_S = 5.0  # but not before this
SWEEP_INTERVAL_S = 1.0  # how often clients that take nothing are looked for
# When the clients of a small worker come back, and by how much each of its streams widens that. So
# a worker sends away 500 streams a second, whatever their number. Four that end at once then send
# 2,000, which a single one that is left takes (it opens 3,000 and more), and which fit into the
# listen backlog (2,048) for the second that new workers take to start.
DRAIN_RETRY_MS = (100, 2000)
DRAIN_RETRY_MS_PER_STREAM = 2


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch, as given to `Notifier.watch()`."""

    source: object
    name: str
    key: str | None = None
    columns: Sequence[str] | None = None
    prepare: Callable[[Database], None] | None = None

    @classmethod
    def of(cls, source: object, name: str | None, **options: object) -> Watch:
        return cls(source, name or source_name(source), **options)  # type: ignore[arg-type]


class Feed:
    """One table's stream in one worker."""

    def __init__(self, watch: Watch, database: Database, settings: Settings) -> None:
        self.name = watch.name
        self.closed = False
        self.log = EventLog(settings.log_capacity_rows, settings.log_capacity_bytes)
        self.subscribers: set[Subscriber] = set()
        self._settings = settings
        grace_s = settings.gap_grace_s
        table = Table(watch.source, key=watch.key, columns=watch.columns, grace_s=grace_s)
        self.source = Source(table, database, settings, watch.prepare)
        self.poller = Poller(
            self.name, self.source, self.log, settings, lambda: bool(self.subscribers)
        )
        self._backfill = Backfill(self.name, self.source.page, settings.batch_rows)
        self._sweeper: gevent.Greenlet[..., None] | None = None
        self._streams_open = metrics.streams_open.labels(self.name)

    # -- lifecycle --------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to poll. Starting a started or closed feed does nothing."""
        if not self.closed and not self.poller.started:
            self.poller.start()
            self._sweeper = gevent.spawn(self._sweep)

    def stop(self) -> None:
        """Stop polling. Streams stay open; end them with `drain()` or `close()`."""
        self.poller.stop()
        if self._sweeper is not None:
            self._sweeper.kill()
            self._sweeper = None

    def close(self) -> None:
        """End the feed for good: streams end, and nothing is polled from now on."""
        self.closed = True
        self.end_streams("feed closed", lambda: b"")
        self.stop()

    def drain(self, streams: int) -> None:
        """End every stream, each told its own time to come back, so that they do not all come
        at once. `streams` are those that end together with these: of all feeds of the worker."""
        self.end_streams("drain", lambda: sse.retry_frame(drain_retry_ms(streams)))

    def cut_streams(self) -> None:
        """End the connections of streams that do not end by themselves."""
        for subscriber in [*self.subscribers]:
            subscriber.cut()

    def end_streams(self, reason: str, farewell: Callable[[], bytes]) -> None:
        for subscriber in [*self.subscribers]:
            subscriber.end(reason, farewell())

    def wake(self) -> None:
        """Poll now: a row was inserted here."""
        self.poller.wake()

    # -- streams ----------------------------------------------------------------------------

    def open_stream(
        self, last_event_id: str | None, connection: socket.socket | None = None
    ) -> Subscriber:
        """A new subscriber, counted until `end_stream()`."""
        subscriber = Subscriber(
            self.name,
            self.log,
            self._backfill,
            self._settings,
            last_event_id,
            connection,
        )
        if not self.subscribers:
            self.wake()  # nobody listened: the poller may be in its idle interval
        self.subscribers.add(subscriber)
        self._streams_open.inc()
        metrics.streams_total.labels(self.name).inc()
        return subscriber

    def end_stream(self, subscriber: Subscriber) -> None:
        """Count it out. Twice does nothing."""
        if subscriber in self.subscribers:
            self.subscribers.discard(subscriber)
            self._streams_open.dec()

    def _sweep(self) -> None:
        while True:
            gevent.sleep(SWEEP_INTERVAL_S)
            now = time.monotonic()
            for subscriber in [*self.subscribers]:
                subscriber.drop_if_stuck(now)

    # -- a page beside its stream -----------------------------------------------------------

    @property
    def cursor(self) -> sse.Resume | None:
        """What this worker has delivered, None while it is not ready.

        A page takes it before it reads its rows: whatever it holds is then in their snapshot.
        """
        return sse.Resume(self.log.epoch, self.log.cursor) if self.log.ready else None

    def page_token(self, before: sse.Resume | None, ids: Iterable[int]) -> str:
        """The Last-Event-ID of a page that was rendered with `ids`, `before` taken first.

        A stream opened with it brings just what the page does not show. Empty where `before` is
        None.
        """
        if before is None or before.epoch is None:
            return ""
        cursor = before.cursor
        for row_id in sorted(ids):
            cursor = cursor.add(row_id)
        return sse.format_event_id(before.epoch, cursor)

    # -- health -----------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Whether streams are served with what the table holds now, and if not, why."""
        problem, examined = self._problem(), self.source.table.examined
        return {
            "ready": not problem,
            "problem": problem,
            "fence": examined.fence.name if examined else None,
            "degraded": [str(finding) for finding in examined.lacking] if examined else [],
            "streams": len(self.subscribers),
        }

    def _problem(self) -> str:
        if self.closed:
            return ""
        if (error := self.poller.problem) is not None:
            return explain(error)
        polled_at = self.poller.last_poll_at
        if polled_at is None or not self.log.ready:
            return "the table has not been read yet"
        late_s = time.monotonic() - polled_at
        if late_s > max(LATE_AFTER_S, LATE_POLLS * self.poller.interval_s):
            return f"the last poll was {late_s:.0f} s ago"
        return ""


def drain_retry_ms(streams: int) -> int:
    """When one of so many streams shall come back."""
    soonest, latest = DRAIN_RETRY_MS
    return random.randint(soonest, latest + DRAIN_RETRY_MS_PER_STREAM * streams)


def explain(error: Exception) -> str:
    """What to tell a stranger: no SQL, no path, no address."""
    if isinstance(error, TableError):
        return str(error)
    if isinstance(error, DatabaseTimeout):
        return f"the database gave {error}"
    if isinstance(error, SQLAlchemyError):
        return "the database is away or refuses the query; the log says why"
    return "the poll fails; the log says why"
