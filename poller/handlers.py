"""Handlers: functions of the application that are called with each row, in the server.

They read as a stream does, from a position in the log: so each process calls them once for every
row, in the order of the log and after the row is in it, and a slow one is caught up from the table,
as a slow client is. Rows come as their stream shows them, decoded from its JSON.

Where rows may change, a row comes each time that it is inserted or changed, as it is then: nobody
knows which of the two it was. Whoever has to know keeps what he was called with, by its key. Of a
row that is gone comes its key.

Signals tell the same to who is not known here: `row_added`, or `row_changed` and `row_deleted`, and
`history_reset`. The sender is the application, so that a receiver may choose one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import gevent
from blinker import Namespace
from gevent.event import Event

from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.runtime import log
from poller.runtime.hub import in_slices
from poller.wire import frames, notices, row

RowHandler = Callable[[dict[str, Any]], object]
Context = Callable[[], AbstractContextManager[object]]

_signals = Namespace()
row_added = _signals.signal(
    "row-added", doc="A row is in the log: `receiver(app, feed=name, row={…})`, once per process."
)
row_changed = _signals.signal(
    "row-changed",
    doc="A row of a feed whose rows may change was inserted or changed: "
    "`receiver(app, feed=name, row={…})`, once per process.",
)
row_deleted = _signals.signal(
    "row-deleted",
    doc="A row of such a feed is gone: `receiver(app, feed=name, key={…})`, once per process.",
)
history_reset = _signals.signal(
    "history-reset",
    doc="The table was truncated, restored or the like, so rows may have been missed: "
    "`receiver(app, feed=name, reason=…)`.",
)


class Handlers:
    """Those of one feed. `app` is the signals' sender, and each call runs in a `context()` of it.

    An error of one is logged and ends nothing: neither the other calls nor the stream.
    """

    def __init__(
        self,
        feed: str,
        functions: list[RowHandler],
        on_delete: list[RowHandler],
        app: object,
        context: Context,
    ) -> None:
        self.reading = False
        self._feed = feed
        self._functions, self._on_delete = functions, on_delete
        self._app = app
        self._context = context
        self._signal = Event()
        self._stopped = False
        self._subscriber: Subscriber | None = None
        self._log: EventLog | None = None
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is somebody to call."""
        signals = (row_added, row_changed, row_deleted, history_reset)
        functions = self._functions or self._on_delete
        return bool(functions) or any(one.has_receivers_for(self._app) for one in signals)

    def begin(self, event_log: EventLog, subscribe: Callable[[Event], Subscriber]) -> None:
        """Take a place in the log, if anybody is to be called: rows from now on."""
        if self.wanted and not self.reading:
            self.reading = True
            event_log.attach(self._signal)
            self._log = event_log
            self._subscriber = subscribe(self._signal)

    def start(self) -> None:
        """Call them from a greenlet of its own, until `stop()`."""
        self._stopped = False
        if self.reading and not self._greenlet:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End after the call under way. The place is kept: `start()` goes on there."""
        self._stopped = True
        self._signal.set()

    def _run(self) -> None:
        while not self._stopped:
            self._signal.wait()
            self.handle_pending()

    def handle_pending(self) -> None:
        """Call them with all that is in the log by now."""
        self._signal.clear()  # before the look: nothing is missed between them
        while self._subscriber and (chunk := self._subscriber.next_chunk()):
            for event in in_slices(frames.events(chunk)):
                self._handle(event)

    def _handle(self, event: frames.Event) -> None:
        if event.kind == frames.ROW:
            data = json.loads(event.data)
            for function in self._functions:
                self._call(function, data)
            signal = row_changed if self._log and self._log.key else row_added
            for receiver in signal.receivers_for(self._app):
                self._call(receiver, self._app, feed=self._feed, row=data)
        elif event.kind == row.DELETE_EVENT:
            data = json.loads(event.data)
            for function in self._on_delete:
                self._call(function, data)
            for receiver in row_deleted.receivers_for(self._app):
                self._call(receiver, self._app, feed=self._feed, key=data)
        elif event.kind == notices.RESET_EVENT:
            reason = notices.reason_of(event.data)
            log.warning("handlers may have missed rows", feed=self._feed, reason=reason)
            for receiver in history_reset.receivers_for(self._app):
                self._call(receiver, self._app, feed=self._feed, reason=reason)

    def _call(self, function: Callable[..., object], *arguments: object, **named: object) -> None:
        try:
            with self._context():
                function(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - the application's own
            name = getattr(function, "__qualname__", repr(function))
            log.error("handler failed", exc_info=error, feed=self._feed, handler=name)
