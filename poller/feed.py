"""A feed: one watched table as a live stream. Table, poller, log and streams, put together.

It knows no Flask: `web/routes.py` opens streams on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

from poller.asking import id_of, view_of
from poller.delivery.changes_log import ChangesLog
from poller.delivery.event_log import EventLog
from poller.delivery.view import ALL, View
from poller.handlers import Context, Handlers
from poller.hints.shared import Shared
from poller.ids.named import Named
from poller.ids.ranges import ranges_of
from poller.polling.loop import Poller
from poller.reading.database import Database
from poller.reading.description import Description
from poller.reading.dialects.facts import Finding
from poller.reading.explained import explain
from poller.reading.source import Source
from poller.runtime import metrics
from poller.runtime.paced import Paced
from poller.runtime.settings import Settings
from poller.serving.movable import MovableStreams
from poller.watch import Watch
from poller.wire import event_id, row
from poller.wire.exact import Value

LATE_POLLS = 10  # so many intervals without a poll, and the feed is not ready
LATE_AFTER_S = 5.0  # but not before this
THOROUGH_EVERY_S = 0.1  # passes that clients wait for: those that come together share one
UNKNOWN = "reload"  # no token of ours: a stream that is asked to resume there begins with `reset`


class Delivered(NamedTuple):
    """What a worker has delivered, of which history."""

    epoch: str
    held: Named


class Feed:
    """One table's stream in one worker.

    `label` is the feed's name in logs and metrics. `app` and `context` are for its handlers.
    """

    def __init__(
        self,
        watch: Watch,
        database: Database,
        settings: Settings,
        label: str = "",
        app: object = None,
        context: Context = nullcontext,
    ) -> None:
        self.name = watch.name
        self.label = label or watch.name
        self.watch, self.database = watch, database
        self.watcher: Shared | None = None  # of commits by any process; the service's to give
        self.closed = False
        self._put_together(settings.with_changes(**watch.with_room(settings)))
        self.handlers = Handlers(self.label, watch.handlers, watch.on_delete, app, context)

    def _put_together(self, settings: Settings) -> None:
        watch = self.watch
        kind = ChangesLog if watch.rows_change else EventLog
        self.log = kind(settings.log_capacity_rows, settings.log_capacity_bytes, watch.filters)
        table = watch.table(settings)
        self.source = Source(table, self.database, settings, watch.prepare, self.label)
        self.poller = Poller(self.label, self.source, self.log, settings, self.is_listened_to)
        if isinstance(self.log, ChangesLog):
            self.log.wanted = Paced(self.poller.wake, THOROUGH_EVERY_S)
        # The first stream wakes the poller, which may be in its idle interval.
        self.streams = MovableStreams(
            self.label,
            self.log,
            self.source.page,
            settings,
            self.poller.wake,
            self.problem,
            watch.replay,
        )

    def is_listened_to(self) -> bool:
        """Whether a stream is open, or handlers are called."""
        return bool(self.streams) or self.handlers.reading

    # -- lifecycle --------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to poll. Starting a started or closed feed does nothing."""
        if not self.closed:
            self.handlers.begin(self.log, self.streams.reader)
            self.handlers.start()
            self.poller.start()
            if self.watcher is not None:
                self.watcher.join(self)

    def stop(self) -> None:
        """Stop polling. Streams stay open; `streams` ends them."""
        if self.watcher is not None:
            self.watcher.leave(self)
        self.poller.stop()
        self.handlers.stop()

    def close(self) -> None:
        """End the feed for good: streams end, and nothing is polled from now on."""
        self.closed = True
        self.streams.end("feed closed")
        self.stop()

    def wake(self, source: str = "worker") -> None:
        """Poll now, in this worker: a row was inserted. `source` is where that is known from."""
        metrics.hints.labels(self.label, source).inc()
        self.poller.wake()

    @property
    def described(self) -> bool:
        """Whether the table was looked at: before that nobody knows its columns and their types."""
        return self.source.table.described

    def shows(self, column: str) -> bool:
        """Whether its rows have this column. False before the first look at the table."""
        return self.described and column in self.columns

    @staticmethod
    def to_json(columns: Mapping[str, object]) -> str:
        """A row as a stream shows it: one line of JSON. Raises ValueError for a lone surrogate."""
        return row.to_json(dict(columns))

    def view(
        self,
        asked: Mapping[str, Sequence[Value]],
        shown: Sequence[str] | None = None,
    ) -> View:
        """The rows that have in each column of `asked` one of its values, with the columns `shown`
        and the key, by default all.

        A value is a text as in a query (`"7"`, `"true"`), or one of the column's type; None is
        NULL. Raises ValueError, to be told to the client, for a column that is no filter or does
        not go out, and for a value that is not written as its column's values are: `07`, `7.0`,
        ` 7`. Raises TableError while the table has not been looked at yet: nobody knows its types,
        so the client is to come back. Not so where nothing is asked for.
        """
        return view_of(self.source.table, asked, shown)

    @property
    def description(self) -> Description | None:
        """What is known of its table; None before it was looked at, and of what is no table."""
        return self.source.table.description if self.described else None

    @property
    def exceptions(self) -> list[Finding]:
        """What takes something from the promise, as far as is known."""
        return self.source.table.facts.exceptions if self.described else []

    @property
    def columns(self) -> Sequence[str]:
        """The columns that go out, once it was looked at. Raises TableError before."""
        return self.source.table.description.columns.names

    # -- a page beside its stream -----------------------------------------------------------

    @property
    def cursor(self) -> Delivered | None:
        """What this worker has delivered, None while it is not ready.

        A page takes it before it reads its rows: whatever it holds is then in their snapshot.
        """
        return Delivered(self.log.epoch, self.log.held) if self.log.ready else None

    def page_token(self, before: Delivered | None, ids: Iterable[int], view: View = ALL) -> str:
        """The Last-Event-ID of a page that was rendered with `ids`, `before` taken first.

        A stream of this view that is opened with it brings just what the page does not show. Empty
        if `before` is None.
        """
        if before is None:
            return ""
        shown = ranges_of(row_id for row_id in sorted({*ids}) if row_id not in before.held.cursor)
        prefix = event_id.prefix(before.epoch, view.tag)
        return event_id.format_event_id(prefix, before.held.then(shown))

    def token_below(self, rows: int, view: View = ALL) -> str:
        """The Last-Event-ID from which a stream has about the newest `rows` that this worker knows,
        and all that follow. Empty while the worker is not ready."""
        if not self.log.ready:
            return ""
        newest = self.log.newest_ids(rows)
        held = Named.of(self.log.cursor.upto(newest[0] - 1)) if newest else self.log.held
        return event_id.format_event_id(event_id.prefix(self.log.epoch, view.tag), held)

    def token_of(self, before: Delivered | None, rows: Iterable[object], view: View = ALL) -> str:
        """The same, of rows as a page has them: ids, mappings, or objects that have the key as an
        attribute.

        While the worker is not ready it is a token that a stream answers with `reset`, so that
        nothing is missed. Raises ValueError for a row without the key.
        """
        if before is None:
            return UNKNOWN
        key = self.source.table.key_column
        return self.page_token(before, [id_of(row, key) for row in rows], view)

    # -- health -----------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Whether streams are served with what the table holds now, and if not, why."""
        problem, table = self.problem(), self.source.table
        facts = table.facts if table.described else None
        return {
            "ready": not problem,
            "problem": problem,
            "fence": facts.fence.name if facts else None,
            "degraded": [str(finding) for finding in facts.exceptions] if facts else [],
            "limits": list(facts.limits) if facts else [],
            "streams": len(self.streams),
        }

    def problem(self) -> str:
        """Why the feed is not ready, for a stranger; empty if it is."""
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
