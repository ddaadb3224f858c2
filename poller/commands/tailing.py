"""Tailing: one run of `rowcast tail`, from the first poll to the token at the end.

The token names what was printed, or what the reader of a pipe took of it, whatever ended the run.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from types import FrameType

import click
import gevent
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from poller.commands.first import poll_first
from poller.commands.output import Output, ReaderLeft
from poller.commands.printers import CLEAR, DELETE, UPSERT, Printer
from poller.commands.stream import Reader
from poller.commands.target import NotDone
from poller.doctor import only_to_read, why
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.runtime import log
from poller.runtime.settings import Settings
from poller.watch import Watch
from poller.window_feed import feed_of
from poller.wire import notices
from poller.wire.frames import ROW, Event
from poller.wire.row import CLEAR_EVENT, DELETE_EVENT, UNREADABLE_EVENT

OPS = {ROW: UPSERT, DELETE_EVENT: DELETE, CLEAR_EVENT: CLEAR}
ROWS = (*OPS, UNREADABLE_EVENT)
DONE, RESET = 0, 3
BY_SIGNAL = 128  # and the signal's number
LOG_LEVEL = "warning"  # unless one is set: what a server tells its operators is not for a terminal
ENDED_BY = (signal.SIGINT, signal.SIGTERM)
OF_TABLE = {
    notices.HISTORY_CHANGED: "the table was dropped, truncated, restored or failed over; the rows "
    "above may no longer be in it",
    notices.IDS_RESTARTED: "the table's ids started again; the rows above may no longer be in it",
}
OTHER_TABLE = (
    "the token belongs to another table, or to this one before it was emptied or recreated; begin "
    "with --from 0 or now"
)


class Interrupted(BaseException):
    """A signal came while the database did not answer for the first time."""


class Tailing:
    """`most` rows are printed at most, any number if it is None."""

    def __init__(
        self,
        watch: Watch,
        url: str,
        settings: Settings,
        last_event_id: str | None,
        printer: Printer,
        most: int | None,
    ) -> None:
        self._watch, self._url = watch, url
        # There is a listener all the time. What is older than the start is read from the table.
        fit = {"idle_interval_s": settings.poll_interval_s, "history_rows": 0}
        self._settings = settings.model_copy(update=fit)
        try:
            to_read = only_to_read(make_url(url)).render_as_string(hide_password=False)
            self._database = Database(to_read, query_timeout_s=settings.query_timeout_s)
        except (ValueError, ImportError, SQLAlchemyError, TableError) as error:
            raise NotDone(why(error)) from None
        self._feed = feed_of(watch, self._database, self._settings)
        self._reader = Reader(self._feed, last_event_id)
        self._output = Output(sys.stdout.buffer, lambda: self._reader.stopped)
        self._printer = printer
        self._most = most
        self._printed = 0
        self._token = ""
        self._status = DONE
        self._asking = False

    def run(self, *, goes_on: bool) -> int:
        """The exit status. `goes_on`: after a reset, too. Raises NotDone for a table that cannot be
        watched, or a database that cannot be queried now."""
        chosen = self._settings
        level = chosen.log_level if "log_level" in chosen.model_fields_set else LOG_LEVEL
        log.configure(level, chosen.log_format)
        try:
            with self._signals():
                with suppress(Interrupted):
                    self._poll_first()
                    self._feed.start()
                    with self._output.watched(self._reader.stop):
                        self._print_all(goes_on=goes_on)
                if by_signal := self._status >= BY_SIGNAL:
                    # Before a second one may end the process: timeout(1) sends each one twice.
                    self._say_how_to_go_on()
        finally:
            self._feed.close()
            self._database.close()
        if not by_signal:
            # As late as can be: head(1) closes its end of a pipe before it writes what it read.
            self._say_how_to_go_on()
        return self._status

    def _poll_first(self) -> None:
        """What is wrong from the start is said at once. What fails later is waited for."""
        self._asking = True
        try:
            poll_first(self._feed, self._url, self._settings)
            if self._shows_changes:
                self._printer.shows_changes(self._feed.columns)
        finally:
            self._asking = False

    @property
    def _shows_changes(self) -> bool:
        """Whether rows may change, so that each line says what became of its row."""
        return bool(self._feed.log.key)

    # -- printing ---------------------------------------------------------------------------

    def _print_all(self, *, goes_on: bool) -> None:
        try:
            for batch in self._reader.batches():
                for events in _runs(batch):
                    if not self._reader.stopped:
                        self._take(events, goes_on=goes_on)
        except ReaderLeft:
            self._output.discard()

    def _take(self, events: Sequence[Event], *, goes_on: bool) -> None:
        """Rows, or one event of another kind."""
        first = events[0]
        if first.kind in ROWS:
            self._print(events if self._most is None else events[: self._most - self._printed])
        elif first.kind == notices.RESET_EVENT:
            self._reset(first, goes_on=goes_on)
        else:
            self._token = first.id or self._token
        if first.kind == notices.LIVE_EVENT:
            what = (
                "changes come" if self._watch.rows_change else "new rows come as they are inserted"
            )
            click.echo(f"{self._watch.name}: live, {what}", err=True)

    def _print(self, rows: Sequence[Event]) -> None:
        texts = [self._text(row.kind, row.data.decode()) for row in rows]
        lines = [line.encode(errors="backslashreplace") for line in self._printer.batch(texts)]
        before = self._printed

        def taken(count: int) -> None:
            if count:
                self._printed, self._token = before + count, rows[count - 1].id

        self._output.write(lines, taken)
        if self._printed == self._most:
            self._reader.stop()

    def _text(self, kind: str, data: str) -> str:
        if kind == UNREADABLE_EVENT:
            return self._printer.unreadable(data)
        return self._printer.change(OPS[kind], data) if self._shows_changes else data

    def _reset(self, event: Event, *, goes_on: bool) -> None:
        reason = notices.reason_of(event.data)
        of_table = OF_TABLE.get(reason)
        click.echo(f"reset ({reason}): {of_table or OTHER_TABLE}", err=True)
        if goes_on and of_table:
            self._token = event.id
        else:
            self._token, self._status = "", RESET
            self._reader.stop()

    def _say_how_to_go_on(self) -> None:
        rows = "1 row" if self._printed == 1 else f"{self._printed:,} rows"
        # Quoted where it has a "!", which an interactive shell would take for its own.
        end = f"; to go on: --from {shlex.quote(self._token)}" if self._token else ""
        with suppress(OSError):
            click.echo(f"{rows}{end}", err=True)

    # -- ending -----------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        here = gevent.getcurrent()

        def stop_asking() -> None:
            if self._asking:
                here.throw(Interrupted)

        def interrupt(number: int, _frame: FrameType | None) -> None:
            self._status = BY_SIGNAL + number
            self._reader.stop()
            gevent.get_hub().loop.run_callback(stop_asking)

        before = {number: signal.signal(number, interrupt) for number in ENDED_BY}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _runs(batch: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Rows together, any other event by itself."""
    for is_row, events in groupby(batch, lambda event: event.kind in ROWS):
        run = [*events]
        yield from [run] if is_row else [[one] for one in run]
