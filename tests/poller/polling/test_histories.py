"""The matrix of histories: what is done to a table, at which moment, in which database.

Each cell says what a client is told that held the first ten rows: `reset` before any further row,
nothing (it goes on), or it is one of the few that are *named*: what happens then is not what a
client would wish, and a line of the doctor's report, which docs/guarantees.md repeats, says so.

A cell has its own table, in a database that all share, and workers in this process: the real source
and poller with a log, no sockets. The clock of the database is held still, so that no cell depends
on the minute that passes.
"""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from poller.delivery.event_log import EventLog
from poller.delivery.resuming import asked
from poller.doctor import diagnose
from poller.ids.cursor import Cursor
from poller.polling.loop import Poller
from poller.reading.database import Database
from poller.reading.fence import Evidence
from poller.reading.snapshot import Reading
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from poller.wire import event_id
from poller.wire.epoch import FIRST_MINUTE
from tests.conftest import DATABASES, EXERCISED, SERVER_OF_KIND
from tests.harness import sql
from tests.harness.process import wait_until

ROWS = 10
BEYOND = 15
GUARANTEES = Path(__file__).parents[3] / "docs" / "guarantees.md"
COLUMNS = (
    "author VARCHAR(20), body VARCHAR(99), code VARCHAR(99), status VARCHAR(9) DEFAULT 'new'"
)
EVERY_COLUMN = "author, body, code, status, created_at"
CREATED_AT = {
    "sqlite": "created_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "postgresql": "created_at TIMESTAMP DEFAULT clock_timestamp()",
    "mariadb": "created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6)",
}
# SQLite, PostgreSQL and MariaDB have no ORDER BY of VALUES: ids are given out as listed.
RESET, GOES_ON = "reset", "goes on"


# -- what is done ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """Something done to the table `{t}`: statements of one database, and what a client is told."""

    database: str
    name: str
    statements: list[str]
    expected: str = RESET
    # By moment: the part of the doctor's line that names the cell, and what happens all the same.
    named: tuple[str, str, str] | None = None
    partitioned: bool = False

    def __str__(self) -> str:
        return f"{self.database}-{self.name}"


def insert(rows: int, body: str = "new", table: str = "{t}") -> str:
    """A few authors, an own body and code; the rest is the database's."""
    authors = ("ann", "bob", "cy")
    values = ", ".join(f"('{authors[n % 3]}', '{body} {n}', '{body}-{n}')" for n in range(rows))
    return f"INSERT INTO {table} (author, body, code) VALUES {values}"


def like_row(row_id: int) -> str:
    """A row that reads just as one of the first ten did."""
    return (
        f"INSERT INTO {{t}} (id, {EVERY_COLUMN})"
        f" SELECT id, {EVERY_COLUMN} FROM {{t}}_before WHERE id = {row_id}"
    )


def create(database: str, table: str = "{t}", tail: str = "") -> str:
    key, created_at = sql.KEY_TYPES[database], CREATED_AT[database]
    return f"CREATE TABLE {table} (id {key}, {COLUMNS}, {created_at}){tail}"


WHILE_DOWN = "worker down"
SET_BACK = {
    "sqlite": "UPDATE sqlite_sequence SET seq = 5 WHERE name = '{t}'",
    "postgresql": "SELECT setval('{t}_id_seq', 5)",
    "mariadb": "ALTER TABLE {t} AUTO_INCREMENT = 6",
}
CLEARED = {
    "sqlite": ["DELETE FROM {t}", "DELETE FROM sqlite_sequence WHERE name = '{t}'"],
    "postgresql": ["TRUNCATE {t} RESTART IDENTITY"],
    "mariadb": ["TRUNCATE {t}"],
}
NAMED_REFILL = {
    "sqlite": (WHILE_DOWN, "sqlite_sequence", GOES_ON),
    "postgresql": (WHILE_DOWN, "setval", GOES_ON),
    "mariadb": None,
}
NEEDLESS = (WHILE_DOWN, "altered or rewritten", RESET)
REWRITTEN = {
    "sqlite": ["VACUUM"],
    "postgresql": ["VACUUM FULL {t}"],
    "mariadb": ["OPTIMIZE TABLE {t}"],
}


def of_every_database() -> Iterator[Done]:
    for database in DATABASES:
        upkeep = NEEDLESS if database == "mariadb" else None

        def done(
            name: str, *statements: str, expected: str = RESET, named: Any = None
        ) -> Done:
            return Done(database, name, list(statements), expected, named)  # noqa: B023

        cleared, refill = CLEARED[database], NAMED_REFILL[database]
        of_cleared = refill if database == "sqlite" else None
        yield done("truncated", *cleared, insert(3))
        yield done("truncated, refilled beyond", *cleared, insert(BEYOND), named=of_cleared)
        yield done(
            "reloaded, one row as before", *cleared, insert(7), like_row(8),
            *([] if database != "postgresql" else ["SELECT setval('{t}_id_seq', 8)"]),
            insert(BEYOND), named=of_cleared,
        )
        yield done("ids set back", "DELETE FROM {t} WHERE id > 5", SET_BACK[database], insert(1))
        yield done(
            "refilled to the position",
            "DELETE FROM {t} WHERE id > 5", SET_BACK[database], insert(5), insert(1), named=refill,
        )
        yield done(
            "refilled beyond",
            "DELETE FROM {t} WHERE id > 5", SET_BACK[database], insert(BEYOND), named=refill,
        )
        yield done("dropped and recreated", "DROP TABLE {t}", create(database), insert(BEYOND))
        yield done(
            "renamed in", create(database, "{t}_in"), insert(BEYOND, table="{t}_in"),
            "ALTER TABLE {t} RENAME TO {t}_out", "ALTER TABLE {t}_in RENAME TO {t}",
        )
        yield done(
            "column added", "ALTER TABLE {t} ADD COLUMN z INT", expected=GOES_ON, named=upkeep
        )
        yield done(
            "column dropped", "ALTER TABLE {t} DROP COLUMN body", expected=GOES_ON, named=upkeep
        )
        yield done("rewritten", *REWRITTEN[database], expected=GOES_ON, named=upkeep)
        yield done("other table created", "CREATE TABLE {t}_x (x INT)", expected=GOES_ON)
        yield done(
            "other table dropped", "DROP TABLE {t}_before", expected=GOES_ON
        )
        yield done("newest updated", "UPDATE {t} SET status = 'done'", expected=GOES_ON)
        yield done(
            "newest updated, rewritten", "UPDATE {t} SET status = 'done', body = 'edited'",
            *REWRITTEN[database], "CREATE TABLE {t}_x (x INT)", expected=GOES_ON, named=upkeep,
        )
        yield done(
            "newest updated, and new rows", "UPDATE {t} SET status = 'done', body = 'edited'",
            insert(3), expected=GOES_ON,
        )
        yield done("newest deleted", "DELETE FROM {t} WHERE id > 5", expected=GOES_ON)
        yield done("all deleted", "DELETE FROM {t}", expected=GOES_ON)


OF_ONE = [
    Done("postgresql", "truncated, ids go on", ["TRUNCATE {t}", insert(3)]),
    Done("postgresql", "restarted by ALTER", [
        "DELETE FROM {t} WHERE id > 5", "ALTER SEQUENCE {t}_id_seq RESTART WITH 6", insert(BEYOND),
    ]),
    Done("postgresql", "table reloaded, ids set back", [
        "TRUNCATE {t}", "SELECT setval('{t}_id_seq', 1, false)", insert(BEYOND),
    ], named=NAMED_REFILL["postgresql"]),
    Done("postgresql", "sequence altered", ["ALTER SEQUENCE {t}_id_seq CACHE 1"], GOES_ON,
         (WHILE_DOWN, "a sequence that was altered", RESET)),
    Done("postgresql", "newest deleted, rewritten", [
        "DELETE FROM {t} WHERE id > 1", "VACUUM FULL {t}",
    ], GOES_ON),
    Done("postgresql", "column retyped", ["ALTER TABLE {t} ALTER body TYPE TEXT COLLATE \"C\"",
         "ALTER TABLE {t} ADD COLUMN z FLOAT DEFAULT random()"], GOES_ON),
    Done("postgresql", "partition added", ["CREATE TABLE {t}_2 PARTITION OF {t} FOR VALUES FROM"
         " (100) TO (200)"], GOES_ON, partitioned=True),
    Done("postgresql", "partition detached", ["ALTER TABLE {t} DETACH PARTITION {t}_0"], GOES_ON,
         partitioned=True),
    Done("postgresql", "partitions truncated", ["TRUNCATE {t}", insert(3)], partitioned=True),
    Done("postgresql", "restored over", [
        "DROP TABLE {t}", create("postgresql"),
        "INSERT INTO {t} SELECT * FROM {t}_before WHERE id < 8", "SELECT setval('{t}_id_seq', 7)",
        insert(BEYOND),
    ]),
    Done("mariadb", "partition added", [
        "ALTER TABLE {t} ADD PARTITION (PARTITION p2 VALUES LESS THAN (200))",
    ], GOES_ON, NEEDLESS, partitioned=True),
    Done("mariadb", "restored over", [
        "DROP TABLE {t}", create("mariadb"), "INSERT INTO {t} SELECT * FROM {t}_before WHERE id < 8",
        insert(BEYOND),
    ]),
    Done("sqlite", "restored over", ["COPY IN"], named=(WHILE_DOWN, "copied into the file", GOES_ON)),
    Done("sqlite", "new file", ["NEW FILE"]),
    Done("sqlite", "put in its place", ["PUT IN ITS PLACE"]),
]  # fmt: skip
EVERYTHING = [*of_every_database(), *OF_ONE]


# -- a database, and the tables of all cells -------------------------------------------------------


class Place:
    """A database of its own kind, with one table for each cell; SQLite has one file for each."""

    def __init__(self, dialect: str, url: str, folder: Path) -> None:
        self.dialect, self._url, self._folder = dialect, url, folder
        self._made = 0

    def tables(self) -> "Tables":
        made = {
            (done.name, moment): self._table_for(done)
            for done in EVERYTHING
            if done.database == self.dialect
            for moment in MOMENTS
        }
        if self.dialect == "mariadb":
            over = "SELECT MAX(create_time) < NOW() FROM information_schema.tables"
            query = f"{over} WHERE table_schema = DATABASE()"
            wait_until(lambda: bool(sql.execute(self._url, query)[0][0]), 30.0, "a new second")
        return made

    def _table_for(self, done: Done) -> tuple[str, str]:
        """A new table with ten rows, and a copy of it; its database's url, and its name."""
        self._made += 1
        name, url = f"t{self._made}", self._url
        if self.dialect == "sqlite":
            url = f"sqlite:///{self._folder / name}.sqlite3"
        made = [create(self.dialect, tail=self._partitions(done)), insert(ROWS, "old")]
        if done.partitioned and self.dialect == "postgresql":
            made.insert(1, "CREATE TABLE {t}_0 PARTITION OF {t} FOR VALUES FROM (0) TO (2)")
            made.insert(2, "CREATE TABLE {t}_1 PARTITION OF {t} FOR VALUES FROM (2) TO (100)")
        copied = "CREATE TABLE {t}_before AS SELECT * FROM {t}"
        self.run(url, name, [*made, copied])
        return url, name

    def _partitions(self, done: Done) -> str:
        if not done.partitioned:
            return ""
        if self.dialect == "postgresql":
            return " PARTITION BY RANGE (id)"
        return " PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (100))"

    def run(self, url: str, name: str, statements: list[str], *, together: bool = False) -> None:
        """Each by itself, or all `together` where the database allows that."""
        with closing(sql.open_connection(url)) as connection:
            if self.dialect == "mariadb":
                connection.autocommit(True)
            elif self.dialect == "sqlite":
                connection.isolation_level = None
                connection.execute("PRAGMA synchronous = OFF")
            else:
                connection.autocommit = True
            cursor = connection.cursor()
            together = together and not any("VACUUM" in one for one in statements)
            for one in [*["BEGIN"] * together, *statements, *["COMMIT"] * together]:
                if one in FILES:
                    FILES[one](Path(sql.sqlite_path(url)), name)
                else:
                    cursor.execute(one.replace("{t}", name))
                    if cursor.description:
                        cursor.fetchall()


def _backup(path: Path, name: str, rows: int, other: str) -> Path:
    """Another file with this table: seven rows as before, and others."""
    backup = path.with_suffix(".backup")
    with closing(sqlite3.connect(backup)) as made:
        made.execute(create("sqlite").replace("{t}", name))
        made.execute(insert(7, "old").replace("{t}", name))
        made.execute(insert(rows, other).replace("{t}", name))
        made.execute(f"CREATE TABLE {name}_before AS SELECT * FROM {name}")
        made.commit()
    return backup


def copy_in(path: Path, name: str) -> None:
    with (
        closing(sqlite3.connect(_backup(path, name, BEYOND, "restored"))) as backup,
        closing(sqlite3.connect(path)) as live,
    ):
        backup.backup(live)


def new_file(path: Path, name: str) -> None:
    """On ext4 it has the inode of the one that was removed."""
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()
    with closing(sqlite3.connect(path)) as made:
        made.execute(create("sqlite").replace("{t}", name))
        made.execute(insert(BEYOND).replace("{t}", name))
        made.execute(f"CREATE TABLE {name}_before AS SELECT * FROM {name}")
        made.commit()


def put_in_its_place(path: Path, name: str) -> None:
    backup = _backup(path, name, BEYOND, "restored")
    for one in path.parent.glob(f"{path.name}-*"):
        one.unlink()
    shutil.move(backup, path)


FILES: dict[str, Callable[[Path, str], None]] = {
    "COPY IN": copy_in,
    "NEW FILE": new_file,
    "PUT IN ITS PLACE": put_in_its_place,
}


# -- workers ---------------------------------------------------------------------------------------


class StillSource(Source):
    """One whose database's clock stands still."""

    def read(self, cursor: Cursor, limit: int, *, look: bool) -> tuple[Evidence, Reading]:
        evidence, reading = super().read(cursor, limit, look=look)
        assert reading.minute > FIRST_MINUTE
        return evidence, replace(reading, minute=FIRST_MINUTE + 1000)


class Worker:
    """One worker: what it has read, and what it tells who comes."""

    def __init__(self, url: str, name: str) -> None:
        settings = Settings()
        self.database = Database(url)
        self.log = EventLog(settings.log_capacity_rows, settings.log_capacity_bytes)
        self.source = StillSource(Table(name), self.database, settings)
        self.poller = Poller(name, self.source, self.log, settings, lambda: True)

    def poll(self) -> None:
        """Until a pass finds nothing new."""
        quiet = 0
        for _ in range(50):
            before = self.log.generation, self.log.head
            self.poller.step()
            still = before == (self.log.generation, self.log.head) and self.log.ready
            quiet = quiet + 1 if still and self.poller.problem is None else 0
            if quiet == 2:  # the pass that finds another history does not begin with it yet
                return
        pytest.fail(f"the poller finds no end: {self.poller.problem}")

    @property
    def newest_id(self) -> str:
        """What a client holds that was sent everything."""
        return event_id.format_event_id(self.log.epoch, self.log.cursor)

    def told(self, last_event_id: str) -> str:
        return RESET if asked(self.log, last_event_id).reason else GOES_ON


Start = Callable[[], Worker]


@dataclass
class Cell:
    """One table, and what is done to it."""

    place: Place
    done: Done
    url: str
    table: str
    start: Start

    def do(self, *, together: bool = False) -> None:
        self.place.run(self.url, self.table, self.done.statements, together=together)

    def do_one_by_one(self, *workers: Worker) -> None:
        """Polled after each, as far as the table is there."""
        for one in self.done.statements:
            self.place.run(self.url, self.table, [one])
            for worker in workers:
                worker.poller.step()
        for worker in workers:
            worker.poll()

    def stream_of(self, worker: Worker, do: Callable[[], None]) -> str:
        """What an open stream is told; whatever it is, it gets the next row."""
        generation, head = worker.log.generation, worker.log.head
        do()
        worker.poll()
        told = RESET if worker.log.generation > generation else GOES_ON
        if told == GOES_ON:
            new = self.place_rows() - set(range(1, ROWS + 1))
            assert {e.row_id for e in worker.log.entries(head, 99)} == new
        return told

    def place_rows(self) -> set[int]:
        return {int(row[0]) for row in sql.execute(self.url, f"SELECT id FROM {self.table}")}


def one_transaction(cell: Cell) -> str:
    return cell.stream_of(cell.start(), lambda: cell.do(together=True))


def between_polls(cell: Cell) -> str:
    return cell.stream_of(cell.start(), cell.do)


def worker_down(cell: Cell) -> str:
    worker = cell.start()
    last_event_id = worker.newest_id
    worker.database.close()
    cell.do()
    return cell.start().told(last_event_id)


def client_away(cell: Cell) -> str:
    worker = cell.start()
    last_event_id = worker.newest_id
    cell.do_one_by_one(worker)
    assert worker.told(worker.newest_id) == GOES_ON
    return worker.told(last_event_id)


def other_worker(cell: Cell) -> str:
    """What it says to a client of before. Who was reset is not reset again by the other one."""
    workers = [cell.start(), cell.start()]
    last_event_id = workers[0].newest_id
    cell.do()
    for worker in workers:
        worker.poll()
    assert workers[0].told(workers[1].newest_id) == GOES_ON
    assert workers[1].told(workers[0].newest_id) == GOES_ON
    return workers[1].told(last_event_id)


MOMENTS = {
    "one transaction": one_transaction,
    "between polls": between_polls,
    WHILE_DOWN: worker_down,
    "client away": client_away,
    "other worker": other_worker,
}


# -- the matrix ------------------------------------------------------------------------------------


Tables = dict[tuple[str, str], tuple[str, str]]  # of a cell: the database's url, and the name


@pytest.fixture(scope="module")
def place_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[Place, Tables]]]:
    """place_of(database): the database, and the tables of all its cells. These are created before
    the first: MariaDB tells one from another by the second in which it was created."""
    with ExitStack() as stack:

        @cache
        def place_of(database: str) -> tuple[Place, Tables]:
            url = ""
            if database == "sqlite":
                EXERCISED.use("SQLite", sqlite3.sqlite_version)
            else:
                server = request.getfixturevalue(SERVER_OF_KIND[database])
                url = server.create_database()
                stack.callback(server.drop_database, url)
            place = Place(database, url, tmp_path_factory.mktemp("histories"))
            return place, place.tables()

        yield place_of


@pytest.fixture
def start_worker() -> Iterator[Callable[[str, str], Worker]]:
    with ExitStack() as stack:

        def start(url: str, table: str) -> Worker:
            worker = Worker(url, table)
            stack.callback(worker.database.close)
            worker.poll()
            return worker

        yield start


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("done", EVERYTHING, ids=str)
def test_every_cell(
    place_of: Callable[[str], tuple[Place, Tables]],
    start_worker: Callable[[str, str], Worker],
    done: Done,
    moment: str,
) -> None:
    place, tables = place_of(done.database)
    url, table = tables[done.name, moment]
    cell = Cell(place, done, url, table, lambda: start_worker(url, table))
    expected = done.expected
    if done.named and done.named[0] == moment:
        _, words, expected = done.named
        assert_named(url, table, words)
    assert MOMENTS[moment](cell) == expected


def assert_named(url: str, table: str, words: str) -> None:
    """By one line of the doctor's report, which stands in the guarantees, too."""
    lines = diagnose(url, table, Settings()).lines()
    (limit,) = [line for line in lines if line.startswith("limit ") and words in line]
    assert _plain(limit.removeprefix("limit")) in _plain(GUARANTEES.read_text())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w.']+", text.lower()))
