"""A worker in this process that polls when it is told to, on a real table in a real database.

So that who commits before which pass is a story and no luck, and a story takes no time. What is
written down is the same as in a torture, and judged by the same checkers.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

from gevent.event import Event

from models import Post
from models.post import create_tables
from poller.delivery.backfill import Backfill
from poller.delivery.subscriber import Subscriber
from poller.feed import Feed
from poller.reading.database import Database
from poller.runtime.settings import Settings
from poller.serving.client import ClientSocket
from poller.serving.wsgi_stream import WsgiStream
from poller.watch import Watch
from tests.campaigns.oracle import journal
from tests.campaigns.oracle.inserts import Inserts
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.observer import Observer
from tests.campaigns.oracle.patches import undone
from tests.campaigns.oracle.reader import FrameParser, Memory
from tests.campaigns.oracle.records import Attempt, Record, Sentinel, now_s, payload_of
from tests.campaigns.oracle.table import empty, prepare, read_truth
from tests.harness import sql
from tests.harness.simulation import MAX_CHUNKS, SILENCE, settings

AUTHOR = "hand"
RING_ROWS = 20
BATCH_ROWS = 50
SEVERAL_PASSES = 3  # enough to discover a gap, to see who holds it, and to judge it


def _no_problem() -> str:
    """Every pass is asked for: that there was none lately says nothing."""
    return ""


def _no_pause(_: float) -> None:
    """The next pass comes when the story has it."""


class Transaction:
    """One that stays open until it is told to end."""

    def __init__(self, stage: "HandStage", connection: Any) -> None:
        self._stage = stage
        self._connection = connection
        self._rows: list[tuple[str, int]] = []

    def insert(self) -> str:
        """A row that nobody sees yet; its payload."""
        with closing(self._connection.cursor()) as cursor:
            return self._note(self._stage.inserts.plain(cursor))

    def insert_at(self, row_id: int) -> str:
        """The same with an id that no sequence gave."""
        with closing(self._connection.cursor()) as cursor:
            return self._note(self._stage.inserts.with_id(cursor, row_id))

    def burn(self) -> None:
        """An id that no row will have."""
        with closing(self._connection.cursor()) as cursor:
            self._stage.inserts.with_nextval(cursor)

    def commit(self) -> None:
        """The connection stays, for another one."""
        began_s = now_s()
        self._connection.commit()
        self._stage.committed(self._rows, began_s)
        self._rows = []

    def _note(self, rows: list[tuple[int, str]]) -> str:
        ((row_id, text),) = rows
        self._rows.append((payload_of(text), row_id))
        return payload_of(text)


class HandVisitor:
    """A client in this process: it has what was there when it last read."""

    def __init__(self, memory: Memory, open_stream: Callable[[str | None], WsgiStream]) -> None:
        self.memory = memory
        self._open_stream = open_stream
        self._stream: Any = None
        self._parser = FrameParser(memory)

    def come(self) -> Self:
        """Connects, with the last id that it has."""
        self.memory.connect("hand")
        self._stream = iter(self._open_stream(self.memory.last_event_id))
        self._parser = FrameParser(self.memory)
        self.read()
        return self

    def read(self) -> None:
        """All that comes until there is silence."""
        if self._stream is None:
            return
        for _ in range(MAX_CHUNKS):
            chunk = next(self._stream)
            if chunk == SILENCE:
                return
            self._parser.feed(chunk)

    def leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@contextmanager
def on_stage(url: str, folder: Path) -> Iterator["HandStage"]:
    """What is planted in this process is gone afterwards."""
    with undone(), ExitStack() as stack:
        yield HandStage(url, folder, stack)


class HandStage:
    """The table, the worker and its visitors. `stack` ends what is open; see `on_stage()`."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self.url = url
        self.inserts = Inserts(sql.dialect_of(url), AUTHOR, random.Random(0))
        self._folder = folder
        self._stack = stack
        self._visitors: list[HandVisitor] = []
        self._journal = Journal(folder / "hand.jsonl")
        stack.callback(self._journal.close)
        observer = Observer(folder, beats=False)
        stack.callback(observer.close)
        observer.plant()
        self._settings = settings(batch_rows=BATCH_ROWS, log_capacity_rows=RING_ROWS)
        database = Database(url)
        stack.callback(database.close)
        bounds = {"batch_rows": BATCH_ROWS, "log_capacity_rows": RING_ROWS}
        watch = Watch.of(Post, None, None, None, create_tables, bounds)
        self._feed = Feed(watch, database, Settings())
        self.poll()
        prepare(url)

    def visitor(self) -> HandVisitor:
        memory = Memory(self._folder, f"visitor {len(self._visitors)}")
        visitor = HandVisitor(memory, self._open_stream)
        self._stack.callback(memory.close)
        self._stack.callback(visitor.leave)
        self._visitors.append(visitor)
        return visitor.come()

    def transaction(self) -> Transaction:
        connection = self._stack.enter_context(closing(sql.open_connection(self.url)))
        return Transaction(self, connection)

    def insert(self, rows: int = 1) -> str:
        """Commits rows in one transaction; the payload of the last."""
        transaction = self.transaction()
        payloads = [transaction.insert() for _ in range(rows)]
        transaction.commit()
        return payloads[-1]

    def committed(self, rows: list[tuple[str, int]], began_s: float) -> None:
        ended_s = now_s()
        self._journal.write(*(Attempt(AUTHOR, *row, began_s, ended_s, "committed") for row in rows))

    def empty(self) -> None:
        """A new history begins."""
        self._journal.write(empty(self.url)[0])

    def poll(self, passes: int = SEVERAL_PASSES) -> None:
        """So many passes over the table; who is there reads after each."""
        for _ in range(passes):
            self._feed.poller.poll()
            for visitor in self._visitors:
                visitor.read()

    def end(self) -> Record:
        """The last row, and everything that was written down."""
        payload = self.insert()
        self._journal.write(Sentinel(payload))
        self.poll()
        for visitor in self._visitors:
            visitor.come()
        self._journal.write(read_truth(self.url))
        return journal.load(self._folder)

    def _open_stream(self, last_event_id: str | None) -> WsgiStream:
        feed, chosen = self._feed, self._settings
        backfill = Backfill("hand", feed.source.page, chosen.batch_rows, lambda: feed.log.names)

        def make(signal: Event, _: Callable[[float], object]) -> Subscriber:
            return Subscriber(
                "hand", feed.log, backfill, last_event_id, signal, _no_problem, _no_pause
            )

        return WsgiStream(make, feed.log, chosen, ClientSocket(None), lambda _: None, _no_problem)
