"""The open streams of a feed: counts them in and out, and ends them.

It knows both ways of serving one, and leaves the choice to whoever opens it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import gevent
from gevent.event import Event

from poller.access.admission import Ticket
from poller.access.turns import Turn
from poller.delivery.backfill import Backfill
from poller.delivery.event_log import EventLog
from poller.delivery.protocol import Reader
from poller.delivery.standing import Standing
from poller.delivery.subscriber import Subscriber
from poller.delivery.table_rows import FoundRows, PageReader
from poller.delivery.view import ALL, View
from poller.ids.ranges import Range
from poller.runtime import log, metrics
from poller.runtime.hub import in_slices
from poller.runtime.settings import Settings
from poller.serving.client import CLIENT_GONE, WRITE_DEADLINE, ClientSocket
from poller.serving.drain import drain_retry_ms
from poller.serving.fanout import Fanout
from poller.serving.long_poll import Answer, LongPoll
from poller.serving.owned_socket import OwnedSocket
from poller.serving.socket_stream import SocketStream
from poller.serving.tenure import UNBOUNDED, Tenure, Tenures
from poller.serving.wsgi_stream import WsgiStream
from poller.wire import sse
from poller.wire.exact import Exact

EVERYTHING: Mapping[str, Sequence[Exact]] = {}  # a page that is not narrowed

Stream = WsgiStream | SocketStream | LongPoll


class StreamRequest(NamedTuple):
    """How to open a stream: what its client sent, the client's address for the log, its place, the
    turn that its address takes to catch up, its view, how long it may stay, and where it stands if
    it has begun in another process."""

    last_event_id: str | None
    client: str
    ticket: Ticket
    turn: Turn
    view: View = ALL
    tenure: Tenure = UNBOUNDED
    began: Standing | None = None


class Opened(NamedTuple):
    """An open stream: since when (monotonic, in seconds), whose, and what it was opened with."""

    at_s: float
    client: str
    ticket: Ticket
    tenure: Tenure


class Streams:
    """Those of one feed in one worker. `on_first()` is called when one listens and none did;
    `why_waiting()` says why the feed is not ready, empty if it is. `replay` bounds how far back
    clients may ask: see `delivery/bound.py`."""

    def __init__(
        self,
        feed: str,
        event_log: EventLog,
        read_page: PageReader,
        settings: Settings,
        on_first: Callable[[], None],
        why_waiting: Callable[[], str],
        replay: int | None = None,
    ) -> None:
        self._feed = feed
        self.replay = replay
        self._page_of_table = read_page
        self._metric_pages = metrics.pages.labels(feed)
        self._log = event_log
        self._backfill = Backfill(
            feed,
            self._read_page,
            settings.batch_rows,
            lambda: event_log.names,
            event_log.views.filters,
        )
        self._settings = settings
        self._on_first = on_first
        self._why_waiting = why_waiting
        self._fanout = Fanout(feed, event_log, settings, self.ended, why_waiting)
        self._release = self._fanout.release  # one object for all streams
        self._open: dict[Stream, Opened] = {}
        self._tenures = Tenures(feed)
        self._listening = 0  # of those
        self._metric_open = metrics.streams_open.labels(feed)
        self._metric_total = metrics.streams_total.labels(feed)
        self._metric_requests = metrics.rows_requests.labels(feed)
        self._metric_rows = metrics.rows_delivered.labels(feed)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Stream]:
        return iter([*self._open])

    def respond(self, asked: StreamRequest, client: ClientSocket) -> WsgiStream:
        """A new stream as a response's body, counted until `ended(stream)`."""
        make = partial(self._subscriber, asked)
        stream = WsgiStream(
            make, self._log, self._settings, client, self._metric_rows.inc, self._why_waiting
        )
        self._metric_total.inc()
        self._begin(stream, asked)
        return stream

    def fan_out(self, asked: StreamRequest, client: OwnedSocket) -> SocketStream:
        """A new stream on a socket that is ours from now on, counted until it ends."""
        subscriber = self._subscriber(asked, self._fanout.signal, gevent.sleep)
        stream = SocketStream(subscriber, client, self._release)
        self._metric_total.inc()
        self._begin(stream, asked)
        if stream in self._open:  # otherwise it was disconnected before it began: no row is for it
            self._fanout.add(stream)
        return stream

    def reader(
        self,
        signal: Event,
        last_event_id: str | None = None,
        pause: Callable[[float], object] = gevent.sleep,
    ) -> Reader:
        """A position in the log for this process itself: it has no client, and takes no place.
        Its arguments are those of `Subscriber`."""
        asked_by = self._feed, self._log, self._backfill, last_event_id
        return Subscriber(*asked_by, signal, self._why_waiting, pause)

    def read(self, asked: StreamRequest, client: ClientSocket, limit: int, wait_s: float) -> Answer:
        """At most `limit` rows, after at most `wait_s` seconds if there are none. It counts as a
        stream until it returns."""
        make = partial(self._subscriber, asked)
        request = LongPoll(make, self._log, client, self._why_waiting, self._listen, limit, wait_s)
        self._count_in(request, asked)
        self._tenures.begin(request, asked.tenure)
        self._metric_requests.inc()
        try:
            answer = request.answer()
            self._metric_rows.inc(len(answer.rows))
            return answer
        finally:
            self.ended(request)

    def ended(self, stream: Stream) -> None:
        """Count it out. A second call does nothing."""
        if stream in self._open:
            opened = self._count_out(stream)
            metrics.streams_cut.labels(self._feed).inc(stream.closed_because == WRITE_DEADLINE)
            log.debug(
                "stream closed",
                feed=self._feed,
                client=opened.client,
                reason=stream.closed_because or CLIENT_GONE,
                seconds=round(time.monotonic() - opened.at_s, 1),
                rows=stream.subscriber.rows,
                bytes=stream.sent_bytes,
            )

    # -- ending them all --------------------------------------------------------------------

    def end(self, reason: str, farewell: Callable[[], bytes] = bytes) -> None:
        """End every stream, each with a farewell of its own as its last bytes."""
        for stream in in_slices([*self._open]):
            stream.end(reason, farewell())

    def drain(self, together: int) -> None:
        """End every stream, each told its own time to come back, so that they do not all come
        at once. `together` is how many end with these: the streams of all feeds of the worker."""
        self.end("drain", lambda: sse.retry_line(drain_retry_ms(together)))

    def disconnect(self, tag: str) -> None:
        """End the streams of this tag now, also those that were allowed before and open later."""
        self._tenures.disconnect(tag)

    def cut(self) -> None:
        """End the connections of streams that do not end by themselves."""
        for stream in [*self._open]:
            stream.cut()

    def _read_page(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Mapping[str, Sequence[Exact]] = EVERYTHING,
    ) -> FoundRows:
        self._metric_pages.inc()
        return self._page_of_table(ranges, limit, narrowed)

    # -- opening one ----------------------------------------------------------------------

    def _subscriber(
        self, asked: StreamRequest, signal: Event, pause: Callable[[float], object]
    ) -> Reader:
        return Subscriber(
            self._feed,
            self._log,
            self._backfill,
            asked.last_event_id,
            signal,
            self._why_waiting,
            pause,
            asked.turn,
            self.replay,
            self._log.open(asked.view),
            asked.began,
        )

    def _begin(self, stream: WsgiStream | SocketStream, asked: StreamRequest) -> None:
        """Count it in; it may end at once."""
        self._count_in(stream, asked)
        self._listen()
        self._tenures.begin(stream, asked.tenure)

    def _listen(self) -> None:
        """One more listens. A request that only looks does not: each would be a poll."""
        self._listening += 1
        if self._listening == 1:
            self._on_first()

    def _count_in(self, stream: Stream, asked: StreamRequest) -> None:
        asked.ticket.take()
        self._open[stream] = Opened(time.monotonic(), asked.client, asked.ticket, asked.tenure)
        self._metric_open.inc()
        log.debug("stream opened", feed=self._feed, client=asked.client)

    def _count_out(self, stream: Stream) -> Opened:
        opened = self._open.pop(stream)
        opened.ticket.free()
        self._tenures.over(stream)
        self._log.views.close(stream.subscriber.view)
        if not isinstance(stream, LongPoll) or stream.waited:
            self._listening -= 1
        self._metric_open.dec()
        return opened
