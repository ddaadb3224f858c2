"""A feed by window: the newest rows of a query as a live stream, put together.

It is served as any feed is. What it is made of is another engine: see `poller/window/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import gevent
from gevent.event import Event

from poller.access import signed
from poller.delivery.view import ALL, View
from poller.feed import LATE_AFTER_S, LATE_POLLS, UNKNOWN, Feed
from poller.handlers import Context
from poller.reading.database import Database
from poller.reading.description import Description
from poller.reading.dialects.facts import Finding, exceptions
from poller.reading.explained import explain
from poller.reading.windows.look import Shape
from poller.reading.windows.query import Asked
from poller.reading.windows.source import WindowSource
from poller.runtime.settings import Settings
from poller.serving.client import ClientSocket
from poller.serving.long_poll import Answer
from poller.serving.movable import MovableStreams
from poller.serving.streams import StreamRequest
from poller.watch import Watch
from poller.window.encoding import item_of
from poller.window.log import WindowLog
from poller.window.looker import Looker
from poller.window.picture import slack_of
from poller.window.subscriber import WindowSubscriber
from poller.window.token import EMPTY, FROM_THE_BEGINNING, Token, secret_of
from poller.wire import event_id
from poller.wire.exact import Value
from poller.wire.row import KeyedRow


class WindowStreams(MovableStreams):
    """Its subscribers are those of a window."""

    def __init__(
        self, feed: str, window_log: WindowLog, settings: Settings, why_waiting: Callable[[], str]
    ) -> None:
        # The subscriber that comes first wakes the looker by itself.
        as_log: Any = window_log  # its subscribers are made here
        super().__init__(feed, as_log, _no_page, settings, lambda: None, why_waiting)
        self._window_log = window_log
        self.read_here = False

    def reader(
        self,
        signal: Event,
        last_event_id: str | None = None,
        pause: Callable[[float], object] = gevent.sleep,
    ) -> WindowSubscriber:
        """For this process itself. Without an id, changes from now on, and no rows before them."""
        self.read_here = True
        asked_by = self._feed, self._window_log, last_event_id, signal, self._why_waiting
        return WindowSubscriber(*asked_by, only_news=last_event_id is None)

    def read(self, asked: StreamRequest, client: ClientSocket, limit: int, wait_s: float) -> Answer:
        """Who asks without a token holds nothing, and there is nothing to clear."""
        holds = asked.last_event_id or FROM_THE_BEGINNING
        return super().read(asked._replace(last_event_id=holds), client, limit, wait_s)

    def _subscriber(
        self, asked: StreamRequest, signal: Event, pause: Callable[[float], object]
    ) -> WindowSubscriber:
        asked_by = self._feed, self._window_log, asked.last_event_id, signal, self._why_waiting
        return WindowSubscriber(*asked_by, self._window_log.open(asked.view), asked.began)


class WindowFeed(Feed):
    """The newest `watch.window` rows of a query's answer in one worker."""

    # The same protocols by another engine.
    log: WindowLog  # type: ignore[assignment]
    source: WindowSource  # type: ignore[assignment]
    poller: Looker  # type: ignore[assignment]
    streams: WindowStreams
    app: object = None  # whose key makes the digests

    def _put_together(self, settings: Settings) -> None:
        watch = self.watch
        size = watch.window or 0
        asked = Asked(
            watch.source, watch.name, watch.key, watch.columns, watch.order_by, size
        )  # fmt: skip
        self.log = WindowLog(settings.log_capacity_rows, settings.log_capacity_bytes)
        rows = size + slack_of(size)
        self.source = WindowSource(asked, self.database, settings, rows, watch.prepare)
        self.poller = Looker(
            self.label,
            self.source,
            self.log,
            size,
            settings,
            self.is_listened_to,
            secret=lambda: self._secret,
        )
        self.streams = WindowStreams(self.label, self.log, settings, self.problem)

    def view(
        self, asked: Mapping[str, Sequence[Value]], shown: Sequence[str] | None = None
    ) -> View:
        """All rows, with the columns `shown` and the key. Raises ValueError for a filter, and where
        the ids would tell the other columns."""
        if asked:
            raise ValueError("a feed by window has no filters; give its SELECT a WHERE")
        if shown is None:
            return ALL
        query = self.source.query
        if lacking := [name for name in shown if name not in query.names]:
            raise ValueError(f"{lacking[0]} is no column of this feed")
        if {*query.names} <= {*shown}:
            return ALL
        if not self._secret:
            raise ValueError("columns of a window cannot be left out without app.secret_key")
        return View.of({}, [*query.key, *shown])

    @cached_property
    def _secret(self) -> bytes:
        """For the digests in its ids. Empty without a key; then all readers see all columns."""
        keys = signed.keys_of(getattr(self.app, "config", {}))
        return secret_of(keys[-1]) if keys else b""

    def is_listened_to(self) -> bool:
        return super().is_listened_to() or self.streams.read_here

    @property
    def described(self) -> bool:
        return self.source.described

    @property
    def description(self) -> Description | None:
        return self.source.query.description if self.described else None

    @property
    def exceptions(self) -> list[Finding]:
        return exceptions(self.source.findings)

    @property
    def columns(self) -> Sequence[str]:
        return self.source.query.names

    # -- a page beside its stream -----------------------------------------------------------

    @property
    def cursor(self) -> None:
        """There is none: a page's token says which rows it shows, whenever they were read."""
        return None

    def token_of(self, before: object, rows: Iterable[object], view: View = ALL) -> str:
        """The Last-Event-ID of a page that shows `rows`: mappings, `sqlalchemy.Row`s or mapped
        objects with all columns of the feed.

        It says exactly what the page shows. If these are the newest rows, or a run of them, its
        stream brings what has changed since; else it begins with `clear`. Raises ValueError for a
        row that lacks a column.
        """
        if not self.log.ready:
            return UNKNOWN
        held: Token = EMPTY
        for one in rows:
            item, _ = item_of(_as_sent(one, self.source.query), self._secret)
            held = held.with_row(item.weight)
        return f"{event_id.prefix(self.log.epoch, view.tag)}.{held}"

    def token_below(self, rows: int, view: View = ALL) -> str:
        """The Last-Event-ID of whoever holds nothing: a stream from there has the whole window."""
        return FROM_THE_BEGINNING

    # -- health -----------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Whether streams are served with what the query answers now, and if not, why."""
        problem = self.problem()
        return {
            "ready": not problem,
            "problem": problem,
            "fence": None,
            "degraded": [str(one) for one in self.exceptions],
            "limits": [],
            "streams": len(self.streams),
            "window": self.watch.window,
        }

    def problem(self) -> str:
        """Why the feed is not ready, for a stranger; empty if it is. One that nobody listens to
        does not look, and need not."""
        if self.closed:
            return ""
        if (error := self.poller.problem) is not None:
            return explain(error)
        looked_at = self.poller.last_poll_at
        if looked_at is None or not self.log.ready:
            return "the table has not been read yet"
        late_s = time.monotonic() - looked_at
        allowed_s = max(LATE_AFTER_S, LATE_POLLS * self.poller.interval_s)
        if self.is_listened_to() and not self.log.resting and late_s > allowed_s:
            return f"the last look was {late_s:.0f} s ago"
        return ""


def feed_of(
    watch: Watch,
    database: Database,
    settings: Settings,
    label: str = "",
    app: object = None,
    context: Context | None = None,
) -> Feed:
    """The feed of the kind that was asked for. Arguments are those of `Feed`."""
    kind = Feed if watch.window is None else WindowFeed
    given: dict[str, Any] = {} if context is None else {"context": context}
    made = kind(watch, database, settings, label, app, **given)
    if isinstance(made, WindowFeed):
        made.app = app
    return made


def _as_sent(one: object, shape: Shape) -> KeyedRow:
    columns = {name: _value(one, name) for name in shape.names}
    return KeyedRow(0, columns, key={name: columns[name] for name in shape.key})


def _value(one: object, name: str) -> object:
    try:
        return one[name] if isinstance(one, Mapping) else getattr(one, name)
    except (KeyError, AttributeError):
        raise ValueError(
            f"a row of the page has no {name!r}: a feed by window needs all its columns to tell "
            f"what the page shows ({type(one).__name__})"
        ) from None


def _no_page(*_: object) -> Any:
    raise NotImplementedError("a feed by window reads no pages")
