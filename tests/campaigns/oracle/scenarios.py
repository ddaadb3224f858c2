"""Short stories with few actors, in which a certain mistake must show; one thread, no luck needed.

What is written down is the same as in a torture, and judged by the same checker.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

from tests.campaigns.oracle import journal
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.reader import Memory, Reader
from tests.campaigns.oracle.records import Attempt, Record, Sentinel, now_s, payload_of
from tests.campaigns.oracle.table import empty, read_truth
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until

AUTHOR = "scenario"
SERVED_APP = "tests.campaigns.oracle.served_app:app"
RECEIVED_WITHIN_S = 30.0
STEP_S = 0.02
RING_ROWS = 20
SETTINGS = {
    "ROWCAST_POLL_INTERVAL": "0.1",
    "ROWCAST_LOG_CAPACITY": str(RING_ROWS),
    "ROWCAST_HEARTBEAT": "1",
}
LATE_COMMITS = 2
# A pass of the mutant that reads the fence last takes 1 s, and as long again before the next.
HELD_S = 1.5
LARGE_TEXT_CHARS = 1_800  # of four bytes each
ROWS_BEFORE_TRUNCATION = 200  # more than are written after it
RINGS_FULL = 10  # 1.4 MB: more than the sockets between server and client hold


class Visitor:
    """A client that reads when it is told to."""

    def __init__(self, folder: Path, name: str, url: str, *, small: bool = False) -> None:
        self.memory = Memory(folder, name)
        self._url = url
        self._small = small
        self._reader: Reader | None = None

    def come(self) -> Self:
        """Connects, with the last id that it has; returns once the server placed it."""
        self._reader = Reader(self.memory, self._url, small=self._small)
        wait_until(self._placed, RECEIVED_WITHIN_S, "a place in the stream")
        return self

    def leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        self.leave()
        self.memory.close()

    def has(self, payload: str) -> bool:
        """Reads what has come; whether that row was ever received."""
        self._read()
        return payload in self.memory.payloads

    def _placed(self) -> bool:
        self._read()
        return self._reader is not None and self._reader.placed

    def _read(self) -> None:
        if self._reader is not None and not self._reader.ended:
            self._reader.read(STEP_S)


class Stage:
    """A server, a table and visitors; writes rows itself, and writes down what it does."""

    def __init__(self, folder: Path, url: str, server: Gunicorn) -> None:
        self._folder = folder
        self._url = url
        self._server = server
        self._journal = Journal(folder / "stage.jsonl")
        self._visitors: list[Visitor] = []
        self._texts = 0
        self._stack = ExitStack()
        self._stack.callback(self._journal.close)
        self._mark = "?" if sql.dialect_of(url) == "sqlite" else "%s"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def visitor(self, *, small: bool = False) -> Visitor:
        name = f"visitor {len(self._visitors)}"
        visitor = Visitor(self._folder, name, self._server.stream_url, small=small)
        self._visitors.append(visitor)
        self._stack.callback(visitor.close)
        return visitor.come()

    def insert(self, text: str = "", rows: int = 1) -> str:
        """Commits rows in one transaction; the payload of the last."""
        with self.held(text, rows) as payload:
            pass
        return payload

    @contextmanager
    def held(self, text: str = "", rows: int = 1) -> Iterator[str]:
        """Rows whose transaction stays open inside the block and is committed at its end."""
        statement = f"INSERT INTO posts (author, body) VALUES ({self._mark}, {self._mark})"
        written: list[tuple[str, int]] = []
        with sql.connect(self._url) as connection, closing(connection.cursor()) as cursor:
            for _ in range(rows):
                self._texts += 1
                body = f"{self._texts} {text}"
                cursor.execute(f"{statement} RETURNING id", (AUTHOR, body))
                written.append((payload_of(body), int(cursor.fetchone()[0])))
            yield written[-1][0]
            began_s = now_s()
            connection.commit()
        ended_s = now_s()
        self._journal.write(
            *(Attempt(AUTHOR, *row, began_s, ended_s, "committed") for row in written)
        )

    def truncate(self) -> None:
        self._journal.write(empty(self._url)[0])

    def end(self) -> Record:
        """The last row, which every visitor waits for; then everything that was written down."""
        payload = self.insert("sentinel")
        self._journal.write(Sentinel(payload))
        for visitor in self._visitors:
            received(visitor, payload)
        self._journal.write(read_truth(self._url))
        return journal.load(self._folder)


def received(visitor: Visitor, payload: str) -> None:
    what = f"{visitor.memory.name} has row {payload}"
    wait_until(lambda: visitor.has(payload), RECEIVED_WITHIN_S, what, step_s=0)


def late_commits(stage: Stage) -> None:
    """Rows that one with a greater id overtakes, and that are committed a while after that."""
    visitor = stage.visitor()
    for _ in range(LATE_COMMITS):
        with stage.held():
            received(visitor, stage.insert())
            time.sleep(HELD_S)  # what is tried, not waited for: the gap stays open so long


def coming_back(stage: Stage) -> None:
    """A client goes, rows come that another one sees, and the first comes back."""
    first, other = stage.visitor(), stage.visitor()
    for _ in range(3):
        received(first, stage.insert())
    first.leave()
    for _ in range(3):
        received(other, stage.insert())
    first.come()


def slow_reader(stage: Stage) -> None:
    """A client takes nothing while more comes than the sockets and the ring hold."""
    slow, other = stage.visitor(small=True), stage.visitor()
    for _ in range(RINGS_FULL):
        received(other, stage.insert("🐘" * LARGE_TEXT_CHARS, rows=RING_ROWS))
    one_of_new_rows(stage, slow)  # a mutant may lose the first of them too


def truncation(stage: Stage) -> None:
    """The table is emptied under a client, and filled again until one of the new rows came."""
    visitor = stage.visitor()
    received(visitor, stage.insert(rows=ROWS_BEFORE_TRUNCATION))
    stage.truncate()
    one_of_new_rows(stage, visitor)


def one_of_new_rows(stage: Stage, visitor: Visitor) -> None:
    """Rows are inserted until the visitor has one of them."""
    new: list[str] = []

    def one_came() -> bool:
        new.append(stage.insert())
        return any(map(visitor.has, new))

    wait_until(one_came, RECEIVED_WITHIN_S, "one of the new rows", step_s=0.2)


SCENARIOS: dict[str, Callable[[Stage], None]] = {
    "late_commits": late_commits,
    "coming_back": coming_back,
    "slow_reader": slow_reader,
    "truncation": truncation,
}
DATABASE = {"late_commits": "postgresql"}  # the others need none but SQLite
