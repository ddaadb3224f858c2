"""A table in memory with transactions in any interleaving, and what reads it in the real code.

Only the database is simulated: poller, log, delivery and wire format are the real ones. The fence
is an ideal one, of holders: it does with transactions what a database's locks allow.
"""

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, ClassVar

import gevent
from gevent.event import Event

from poller.delivery.backfill import Backfill
from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.delivery.view import ALL, View
from poller.delivery.view_index import OpenView
from poller.ids.cursor import Cursor
from poller.ids.gaps import Gaps
from poller.ids.ranges import Range, ranges_of
from poller.polling.loop import Poller
from poller.reading.fence import Evidence, Fence, Holder, HolderFence, HoldersSeen, Pass
from poller.reading.snapshot import Found, History, Reading, Start
from poller.runtime.settings import Settings
from poller.serving.client import ClientSocket
from poller.serving.fanout import Fanout
from poller.serving.long_poll import Answer, LongPoll
from poller.serving.owned_socket import OwnedSocket
from poller.serving.socket_stream import SocketStream
from poller.serving.wsgi_stream import WsgiStream
from poller.wire.exact import Exact
from poller.wire.row import CutOff, Row
from tests.harness.sse import Parser

SILENCE = b":\n"
MAX_CHUNKS = 1000
BYTES_AT_ONCE = 50  # about one frame
NO_CONNECTION: Any = None
FILTERS = ("room", "owner")
ALL_ROWS: Mapping[str, Sequence[Exact]] = {}


def settings(**changes: object) -> Settings:
    """Small bounds, so that few rows meet them, and no waiting."""
    values: dict[str, object] = {
        "batch_rows": 2,
        "history_rows": 1000,
        "log_capacity_rows": 3,
        "heartbeat_s": 0.001,
        "poll_interval_s": 0.01,
        **changes,
    }
    return Settings.model_construct(**{**Settings().model_dump(), **values})


class SimulatedLocks(HolderFence):
    """The real bookkeeping of holders, over the simulated table's open transactions."""

    name = "holders"
    keys_last = True  # a transaction's number is never used again

    def __init__(self, table: "SimulatedTable") -> None:
        self._table = table

    def look(self, connection: object, gaps: Sequence[Range]) -> Evidence:
        return HoldersSeen(Holder(str(one), f"pid {one}") for one in self._table.open)


@dataclass
class SimulatedTable:
    """Ids are given out in order; rows appear when their transaction commits."""

    committed: dict[int, str] = field(default_factory=dict)
    open: dict[int, list[int]] = field(default_factory=dict)
    last_id: int = 0
    history: str = "abcd"
    version: str = ""
    transactions: int = 0
    rows_that_fit: int = 10**9  # into the bytes of a batch

    def begin(self, rows: int = 1) -> int:
        self.transactions += 1
        self.open[self.transactions] = [self.last_id + n for n in range(1, rows + 1)]
        self.last_id += rows
        return self.transactions

    def commit(self, transaction: int) -> None:
        for row_id in self.open.pop(transaction):
            self.committed[row_id] = f"row {row_id}"

    def roll_back(self, transaction: int) -> None:
        del self.open[transaction]

    def insert(self, rows: int = 1) -> None:
        self.commit(self.begin(rows))

    def recreate(self, history: str = "ef01") -> None:
        self.committed.clear()
        self.open.clear()
        self.last_id, self.history = 0, history

    @property
    def ids(self) -> set[int]:
        """Those of the rows that are there."""
        return {*self.committed}

    @staticmethod
    def values_of(row_id: int) -> tuple[int | None, str]:
        """A row's room and owner. Letters are alike for the database, as they are for MariaDB."""
        return None if row_id % 5 == 0 else row_id % 3, "Ann" if row_id % 4 < 2 else "ann"

    def in_view(self, view: View) -> set[int]:
        """The committed rows that are in a view, by another way than the code's."""
        asked = view.filter
        return {
            row_id
            for row_id in self.committed
            if all(
                value in asked.get(name, [value])
                for name, value in zip(FILTERS, self.values_of(row_id), strict=True)
            )
        }

    def rows_in(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Mapping[str, Sequence[Exact]] = ALL_ROWS,
    ) -> list[Row]:
        ids = [i for i in sorted(self.committed) if any(lo <= i <= hi for lo, hi in ranges)]
        alike = {name: {str(one).lower() for one in values} for name, values in narrowed.items()}
        found = [
            Row(i, {"id": i, "text": self.committed[i]}, values=self.values_of(i))
            for i in ids
            if all(
                str(value).lower() in alike.get(name, str(value).lower())
                for name, value in zip(FILTERS, self.values_of(i), strict=True)
            )
        ]
        rows = found[:limit]
        return rows if len(rows) <= self.rows_that_fit else CutOff(rows[: self.rows_that_fit])


class SimulatedSource:
    """The poller's side of the table. `fail` is raised by the next call if it is set."""

    def __init__(self, table: SimulatedTable, history_rows: int = 1000) -> None:
        self.table = table
        self.fence: Fence = SimulatedLocks(table)
        self.fail: Exception | None = None
        self.history_rows = history_rows
        self.reads: list[int] = []  # how many gaps each asked for
        self.reads_of_pages: list[int] = []  # how many ranges each asked for

    def open(self) -> Start:
        self._fail()
        newest = sorted(self.table.ids, reverse=True)
        start = newest[self.history_rows] if len(newest) > self.history_rows else 0
        if not start or self.fence.idle(self.fence.look(NO_CONNECTION, ())):
            return Start(self._history, Cursor.at(start), given=self.table.last_id)
        # It lists the newest gap; of what is missing below, nobody knows.
        there = self.table.ids
        missing = ranges_of(i for i in range(1, start) if i not in there)
        floor = missing[-2][1] if len(missing) > 1 else 0
        return Start(self._history, Cursor.at(start, missing[-1:]), floor, self.table.last_id)

    def describe(self) -> History:
        self._fail()
        return self._history

    @property
    def _history(self) -> History:
        return History(self.table.history, self.table.history + self.table.version)

    def read(self, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool = False) -> Pass:
        self._fail()
        evidence = self.fence.look(NO_CONNECTION, cursor.gaps) if gaps.all else None
        self.looked()
        if thorough:
            gaps = gaps.afresh()
        unread = gaps.unchanged(lambda witness: self.fence.must_read(witness, evidence))
        asked = cursor.with_gaps(gaps.ranges(but=unread))
        self.reads.append(len(asked.gaps))
        last_id, rows = self.table.last_id, self.table.rows_in(asked.holes, limit)
        return Pass(evidence, unread, Reading(self._history, last_id, rows, given=last_id))

    def looked(self) -> None:
        """Between the fence's look and the read."""

    def page(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Mapping[str, Sequence[Exact]] = ALL_ROWS,
    ) -> Found:
        self._fail()
        self.reads_of_pages.append(len(ranges))
        found = Found(self._history, self.table.rows_in(ranges, limit, narrowed))
        gevent.sleep(0)  # what is committed from here on is not in it
        return found

    def _fail(self) -> None:
        if self.fail is not None:
            raise self.fail


class Worker:
    """One worker process: a real poller, log and backfill over a table that others share."""

    make_source: ClassVar[type[SimulatedSource]] = SimulatedSource
    make_log: ClassVar[type[EventLog]] = EventLog

    def __init__(self, table: SimulatedTable, **changes: object) -> None:
        self.replay: int | None = None  # rows
        self.settings = settings(**changes)
        self.source = self.make_source(table, self.settings.history_rows)
        self.log = self.make_log(
            self.settings.log_capacity_rows, self.settings.log_capacity_bytes, FILTERS
        )
        self.backfill = Backfill(
            "test", self._read_page, self.settings.batch_rows, lambda: self.log.names, FILTERS
        )
        self.pages: list[Mapping[str, Sequence[Exact]]] = []  # for streams, and how narrowed
        self.listening = True  # whether any stream is open
        self.poller = Poller("test", self.source, self.log, self.settings, lambda: self.listening)
        self.ended: list[SocketStream] = []
        self.problem = ""  # why the feed is not ready
        self.waits: list[str | None] = []  # `after` of each request that began to wait
        self.fanout = Fanout("test", self.log, self.settings, self._ended, lambda: self.problem)

    def _ended(self, stream: SocketStream) -> None:
        self.ended.append(stream)
        self.log.views.close(stream.subscriber.view)

    def _read_page(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Mapping[str, Sequence[Exact]] = ALL_ROWS,
    ) -> Found:
        self.pages.append(narrowed)
        return self.source.page(ranges, limit, narrowed)

    def poll_until_quiet(self) -> None:
        while self.poller.poll() == 0.0:
            pass

    def open_stream(self, last_event_id: str | None = None, view: View = ALL) -> WsgiStream:
        def make(signal: Event, pause: Callable[[float], object]) -> Subscriber:
            return self._subscriber(last_event_id, signal, pause, view)

        no_socket = ClientSocket(None)
        return WsgiStream(
            make, self.log, self.settings, no_socket, lambda _: None, lambda: self.problem
        )

    def fan_out(
        self, client: OwnedSocket, last_event_id: str | None = None, view: View = ALL
    ) -> SocketStream:
        subscriber = self._subscriber(last_event_id, self.fanout.signal, gevent.sleep, view)
        stream = SocketStream(subscriber, client, self.fanout.release)
        self.fanout.add(stream)
        return stream

    def request(
        self,
        after: str | None,
        limit: int = 1000,
        wait_s: float = 0.0,
        client: ClientSocket | None = None,
        view: View = ALL,
    ) -> LongPoll:
        """A request for rows, to be answered."""

        def make(signal: Event, pause: Callable[[float], object]) -> Subscriber:
            return self._subscriber(after, signal, pause, view)

        client = client or ClientSocket(None)
        waits = self.waits.append
        return LongPoll(
            make, self.log, client, lambda: self.problem, lambda: waits(after), limit, wait_s
        )

    def _subscriber(
        self,
        last_event_id: str | None,
        signal: Event,
        pause: Callable[[float], object],
        view: View,
    ) -> Subscriber:
        why, opened = lambda: self.problem, self.log.open(view)
        asked = self.log, self.backfill, last_event_id, signal, why, pause
        return Subscriber("test", *asked, _replay=self.replay, opened=opened)


class Client:
    """Reads streams as a browser does: keeps what was dispatched, comes back with its last id."""

    def __init__(self, last_event_id: str | None = None, view: View = ALL) -> None:
        self.ids: list[int] = []
        self.resets: list[str] = []
        self.positions = 0
        self.last_event_id = last_event_id
        self.view = view
        self.connected_to: Worker | None = None
        self._opened: OpenView | None = None
        self._stream: Iterator[bytes] | None = None
        self._parser = Parser()

    def connect(self, worker: Worker) -> None:
        """Open a stream; one that is open ends."""
        self.drop()
        self.connected_to = worker
        stream = worker.open_stream(self.last_event_id, self.view)
        self._stream, self._opened = iter(stream), stream.subscriber.view
        self._parser = Parser()
        self._parser.feed(b"id: %s\n\n" % (self.last_event_id or "").encode())

    def take(self, chunks: int = MAX_CHUNKS, *, cut: int | None = None) -> None:
        """Take up to `chunks` chunks, or until there is silence, if a stream is open.

        With `cut` only so many bytes of the last one arrive, and the stream is dropped there.
        """
        if self._stream is None:
            return
        last = b""
        for _ in range(chunks):
            self._parser.feed(last)
            last = next(self._stream)
            if last == SILENCE:
                break
        self._parser.feed(last if cut is None else last[:cut])
        self._note()
        if cut is not None:
            self.drop()

    def read(self, worker: Worker, chunks: int = MAX_CHUNKS) -> None:
        """Connect, take, and be dropped."""
        self.connect(worker)
        self.take(chunks)
        self.drop()

    def drop(self) -> None:
        """Lose the connection."""
        if self._stream is not None and self.connected_to and self._opened:
            self._stream.close()  # type: ignore[attr-defined]
            self.connected_to.log.views.close(self._opened)
            self._stream = self.connected_to = self._opened = None

    def _note(self) -> None:
        for event in self._parser.events:
            if event.type == "reset":
                self.resets.append(event.json["reason"])
            elif event.type == "message":
                self.ids.append(int(event.json["id"]))
            elif event.type == "position":
                self.positions += 1
        self._parser.events.clear()
        self.last_event_id = self._parser.last_event_id or None


class RowsClient(Client):
    """The same by requests for rows, few at a time, with a cache that never forgets in between.

    `cache` is shared by those whose class it is: (after) → a full answer. An answer that is cut
    does not arrive.
    """

    cache: ClassVar[dict[tuple[View, str | None], Answer]] = {}
    limit: ClassVar[int] = 2

    def connect(self, worker: Worker) -> None:
        self.connected_to = worker

    def take(self, chunks: int = MAX_CHUNKS, *, cut: int | None = None) -> None:
        """So many answers, or until one says that there is nothing more."""
        if self.connected_to is None:
            return
        for number in range(1, chunks + 1):
            answer = self._ask(self.connected_to)
            if cut is not None and (number == chunks or not answer.rows):
                self.drop()
                return
            self._note_answer(answer)
            if not answer.rows:
                return

    def drop(self) -> None:
        self.connected_to = None

    def _ask(self, worker: Worker) -> Answer:
        asked = self.view, self.last_event_id
        if asked in self.cache:
            return self.cache[asked]
        request = worker.request(self.last_event_id, self.limit, view=self.view)
        answer = request.answer()
        worker.log.views.close(request.subscriber.view)
        if answer.full:
            self.cache[asked] = answer
        return answer

    def _note_answer(self, answer: Answer) -> None:
        assert not answer.problem
        self.ids += [int(json.loads(one)["id"]) for one in answer.rows]
        self.resets += [answer.reset] if answer.reset else []
        self.last_event_id = answer.next or self.last_event_id


class TricklingSocket(OwnedSocket):
    """One whose kernel takes a few bytes at a time: every write may be cut short anywhere."""

    __slots__ = ("_sizes",)

    def __init__(self, client: socket.socket, sizes: Iterable[int]) -> None:
        super().__init__(client)
        self._sizes = cycle(sizes)

    def send(self, data: bytes | memoryview) -> int:
        return super().send(memoryview(data)[: next(self._sizes)])


class SocketClient(Client):
    """The same over a socket that the fanout writes to; what it does not take stays in there."""

    def __init__(
        self,
        last_event_id: str | None = None,
        view: View = ALL,
        sizes: Iterable[int] = (7, 1000),
    ) -> None:
        super().__init__(last_event_id, view)
        self._sizes = tuple(sizes)
        self._socket: socket.socket | None = None

    def connect(self, worker: Worker) -> None:
        self.drop()
        self.connected_to = worker
        served, self._socket = socket.socketpair()
        served.setblocking(False)
        self._socket.setblocking(False)
        worker.fan_out(TricklingSocket(served, self._sizes), self.last_event_id, self.view)
        self._parser = Parser()
        self._parser.feed(b"id: %s\n\n" % (self.last_event_id or "").encode())

    def take(self, chunks: int = MAX_CHUNKS, *, cut: int | None = None) -> None:
        """Take about so many frames, or all until two heartbeats say that there is silence."""
        if self._socket is None:
            return
        taken, last = 0, b""
        with gevent.Timeout(60):
            while taken < chunks and not last.endswith(2 * SILENCE):
                gevent.sleep(0)
                new = self._read(BYTES_AT_ONCE)
                taken += bool(new)
                last = (last + new)[-2 * BYTES_AT_ONCE :]
                self._parser.feed(new)
        if cut is not None:
            gevent.sleep(0)
            self._parser.feed(self._read(cut))
        self._note()
        if cut is not None:
            self.drop()

    def drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = self.connected_to = None

    def _read(self, limit: int) -> bytes:
        assert self._socket is not None
        try:
            return self._socket.recv(limit) if limit else b""
        except BlockingIOError:
            return b""


def worker_with(table: SimulatedTable, **changes: object) -> Worker:
    worker = Worker(table, **changes)
    worker.poll_until_quiet()
    return worker


def table_with(rows: int) -> SimulatedTable:
    table = SimulatedTable()
    table.insert(rows)
    return table
