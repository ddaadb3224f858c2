"""The matrix of histories: what is done to a table, at which moment, in which database.

Each cell says what a client is told that held the first ten rows: `reset` before any further row,
nothing (it goes on), or it is one of the few that are *named*: what happens then is not what a
client would wish, and a line of the doctor's report, which docs/guarantees.md repeats, says so.

A cell has its own table, in a database that all share, and workers in this process: the real source
and poller with a log, no sockets. The clock of the database is held still, so that no cell depends
on the time that passes.
"""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from poller.delivery.event_log import EventLog
from poller.delivery.resuming import asked
from poller.doctor import diagnose
from poller.ids.cursor import Cursor
from poller.ids.gaps import Gaps
from poller.polling.loop import Poller
from poller.reading.database import Database
from poller.reading.fence import Pass
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from poller.wire import event_id
from poller.wire.epoch import FIRST_SECOND
from tests.conftest import DATABASES, EXERCISED, SERVER_OF_KIND
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres, Standby
from tests.harness.process import wait_until

ROWS = 10
BEYOND = 15
GUARANTEES = Path(__file__).parents[3] / "docs" / "guarantees.md"
COLUMNS = "author VARCHAR(20), body VARCHAR(99), code VARCHAR(99), status VARCHAR(9) DEFAULT 'new'"
EVERY_COLUMN = "author, body, code, status, created_at"
CREATED_AT = {
    "sqlite": "created_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    "postgresql": "created_at TIMESTAMP DEFAULT clock_timestamp()",
    "mariadb": "created_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6)",
}
# SQLite, PostgreSQL and MariaDB have no ORDER BY of VALUES: ids are given out as listed.
RESET, GOES_ON = "reset", "goes on"


# -- what is done ----------------------------------------------------------------------------------


class Named(NamedTuple):
    """One moment at which it is not as it should be; words of the line that names it; and what a
    client is told then."""

    moment: str
    line: str
    told: str


@dataclass(frozen=True, eq=False)
class Done:
    """Something done to the table `{t}`: statements of one database, and what a client is told."""

    database: str
    name: str
    statements: list[str]
    expected: str = RESET
    named: Named | None = None
    partitioned: bool = False

    def __str__(self) -> str:
        return f"{self.database}-{self.name}"

    @property
    def is_transactional(self) -> bool:
        """MariaDB commits after each statement that concerns a table or its counter."""
        return self.database != "mariadb" and not any("VACUUM" in one for one in self.statements)


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
    "sqlite": Named(WHILE_DOWN, "sqlite_sequence", GOES_ON),
    "postgresql": Named(WHILE_DOWN, "setval", GOES_ON),
    "mariadb": None,
}
NEEDLESS = Named(WHILE_DOWN, "altered or rewritten", RESET)
REWRITTEN = {
    "sqlite": ["VACUUM"],
    "postgresql": ["VACUUM FULL {t}"],
    "mariadb": ["OPTIMIZE TABLE {t}"],
}


def of_every_database() -> Iterator[Done]:
    for database in DATABASES:
        upkeep = NEEDLESS if database == "mariadb" else None

        def done(
            name: str, *statements: str, expected: str = RESET, named: Named | None = None
        ) -> Done:
            return Done(database, name, list(statements), expected, named)  # noqa: B023

        cleared, refill = CLEARED[database], NAMED_REFILL[database]
        of_cleared = refill if database == "sqlite" else None
        yield done("truncated", *cleared, insert(3))
        yield done("truncated, refilled beyond", *cleared, insert(BEYOND), named=of_cleared)
        yield done(
            "reloaded, one row as before",
            *cleared,
            insert(7),
            like_row(8),
            *([] if database != "postgresql" else ["SELECT setval('{t}_id_seq', 8)"]),
            insert(BEYOND),
            named=of_cleared,
        )
        yield done("ids set back", "DELETE FROM {t} WHERE id > 5", SET_BACK[database], insert(1))
        yield done(
            "refilled to the position",
            "DELETE FROM {t} WHERE id > 5",
            SET_BACK[database],
            insert(5),
            insert(1),
            named=refill,
        )
        yield done(
            "refilled beyond",
            "DELETE FROM {t} WHERE id > 5",
            SET_BACK[database],
            insert(BEYOND),
            named=refill,
        )
        yield done("dropped and recreated", "DROP TABLE {t}", create(database), insert(BEYOND))
        yield done(
            "renamed in",
            create(database, "{t}_in"),
            insert(BEYOND, table="{t}_in"),
            "ALTER TABLE {t} RENAME TO {t}_out",
            "ALTER TABLE {t}_in RENAME TO {t}",
        )
        yield done(
            "column added", "ALTER TABLE {t} ADD COLUMN z INT", expected=GOES_ON, named=upkeep
        )
        yield done(
            "column dropped", "ALTER TABLE {t} DROP COLUMN body", expected=GOES_ON, named=upkeep
        )
        yield done("rewritten", *REWRITTEN[database], expected=GOES_ON, named=upkeep)
        yield done("other table created", "CREATE TABLE {t}_x (x INT)", expected=GOES_ON)
        yield done("other table dropped", "DROP TABLE {t}_before", expected=GOES_ON)
        yield done("newest updated", "UPDATE {t} SET status = 'done'", expected=GOES_ON)
        yield done(
            "newest updated, rewritten",
            "UPDATE {t} SET status = 'done', body = 'edited'",
            *REWRITTEN[database],
            "CREATE TABLE {t}_x (x INT)",
            expected=GOES_ON,
            named=upkeep,
        )
        yield done(
            "newest updated, and new rows",
            "UPDATE {t} SET status = 'done', body = 'edited'",
            insert(3),
            expected=GOES_ON,
        )
        yield done("newest deleted", "DELETE FROM {t} WHERE id > 5", expected=GOES_ON)
        yield done("all deleted", "DELETE FROM {t}", expected=GOES_ON)


WHAT_IS_LEFT = "INSERT INTO {t} SELECT * FROM {t}_before WHERE id < 8"
OF_POSTGRESQL = {
    "truncated, ids go on": ["TRUNCATE {t}", insert(3)],
    "reloaded, most rows as before": [
        "TRUNCATE {t} RESTART IDENTITY",
        insert(1),
        f"INSERT INTO {{t}} ({EVERY_COLUMN}) SELECT {EVERY_COLUMN} FROM {{t}}_before WHERE id > 1",
        insert(BEYOND),
    ],
    "restarted by ALTER": [
        "DELETE FROM {t} WHERE id > 5",
        "ALTER SEQUENCE {t}_id_seq RESTART WITH 6",
        insert(BEYOND),
    ],
    "restored over": [
        "DROP TABLE {t}",
        create("postgresql"),
        WHAT_IS_LEFT,
        "SELECT setval('{t}_id_seq', 7)",
        insert(BEYOND),
    ],
}
UPKEEP_OF_POSTGRESQL = {
    "newest deleted, rewritten": ["DELETE FROM {t} WHERE id > 1", "VACUUM FULL {t}"],
    "column retyped": [
        'ALTER TABLE {t} ALTER body TYPE TEXT COLLATE "C"',
        "ALTER TABLE {t} ADD COLUMN z FLOAT DEFAULT random()",
    ],
}
NEW_PARTITION = {
    "postgresql": "CREATE TABLE {t}_2 PARTITION OF {t} FOR VALUES FROM (100) TO (200)",
    "mariadb": "ALTER TABLE {t} ADD PARTITION (PARTITION p2 VALUES LESS THAN (200))",
}


def of_one_database() -> Iterator[Done]:
    yield from (Done("postgresql", name, what) for name, what in OF_POSTGRESQL.items())
    yield from (Done("postgresql", name, x, GOES_ON) for name, x in UPKEEP_OF_POSTGRESQL.items())
    yield Done(
        "postgresql",
        "table reloaded, ids set back",
        ["TRUNCATE {t}", "SELECT setval('{t}_id_seq', 1, false)", insert(BEYOND)],
        named=NAMED_REFILL["postgresql"],
    )
    yield Done(
        "postgresql",
        "sequence altered",
        ["ALTER SEQUENCE {t}_id_seq CACHE 1"],
        GOES_ON,
        Named(WHILE_DOWN, "a sequence that was altered", RESET),
    )
    for database, needless in (("postgresql", None), ("mariadb", NEEDLESS)):
        new = [NEW_PARTITION[database]]
        yield Done(database, "partition added", new, GOES_ON, needless, partitioned=True)
    detached = ["ALTER TABLE {t} DETACH PARTITION {t}_0"]
    yield Done("postgresql", "partition detached", detached, GOES_ON, partitioned=True)
    truncated = ["TRUNCATE {t}", insert(3)]
    yield Done("postgresql", "partitions truncated", truncated, partitioned=True)
    restored = ["DROP TABLE {t}", create("mariadb"), WHAT_IS_LEFT, insert(BEYOND)]
    yield Done("mariadb", "restored over", restored)
    copied = Named(WHILE_DOWN, "copied into the file", GOES_ON)
    yield Done("sqlite", "restored over", ["COPY IN"], named=copied)
    yield Done("sqlite", "new file", ["NEW FILE"])
    yield Done("sqlite", "put in its place", ["PUT IN ITS PLACE"])


EVERYTHING = [*of_every_database(), *of_one_database()]


# -- a database, and the tables of all cells -------------------------------------------------------


class Place:
    """A database of its own kind, with one table for each cell; SQLite has one file for each."""

    def __init__(self, dialect: str, url: str, folder: Path) -> None:
        self.dialect, self._url, self._folder = dialect, url, folder
        self._made = 0

    def tables(self) -> "Tables":
        made = {
            (done, scenario): self._table_for(done)
            for done, scenario in CELLS
            if done.database == self.dialect
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
    """The same inode it cannot have while workers hold the old one: see `test_file_identity.py`."""
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
    """One whose database's clock stands still, at this second."""

    second = FIRST_SECOND + 1000

    def read(self, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool = False) -> Pass:
        found = super().read(cursor, gaps, limit, thorough=thorough)
        assert found.reading.second > FIRST_SECOND
        return replace(found, reading=replace(found.reading, second=self.second))


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
        return event_id.format_event_id(self.log.epoch, self.log.held)

    def told(self, last_event_id: str) -> str:
        return RESET if asked(self.log, last_event_id).reason else GOES_ON


Start = Callable[[], Worker]
Told = dict[str, str]  # by moment


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


Scenario = Callable[[Cell], Told]


def in_one_transaction(cell: Cell) -> Told:
    worker = cell.start()
    return {"one transaction": cell.stream_of(worker, lambda: cell.do(together=True))}


def unseen(cell: Cell) -> Told:
    """No worker polls meanwhile; one comes later. Who was reset is not reset again by another."""
    workers = [cell.start(), cell.start()]
    last_event_id = workers[0].newest_id
    open_stream = cell.stream_of(workers[0], cell.do)
    workers[1].poll()
    workers.append(cell.start())
    # The ids of one that starts in the very second are good from the next minute on.
    workers[2].source.second += 60
    workers[2].poll()
    for worker in workers:
        assert {worker.told(other.newest_id) for other in workers} == {GOES_ON}
    return {
        "between polls": open_stream,
        "other worker": workers[1].told(last_event_id),
        WHILE_DOWN: workers[2].told(last_event_id),
    }


def step_by_step(cell: Cell) -> Told:
    """The worker polls after each statement."""
    worker = cell.start()
    last_event_id = worker.newest_id
    cell.do_one_by_one(worker)
    assert worker.told(worker.newest_id) == GOES_ON
    return {"client away": worker.told(last_event_id)}


SCENARIOS: dict[Scenario, list[str]] = {
    in_one_transaction: ["one transaction"],
    unseen: ["between polls", "other worker", WHILE_DOWN],
    step_by_step: ["client away"],
}
CELLS: list[tuple[Done, Scenario]] = [
    (done, scenario)
    for done in EVERYTHING
    for scenario in SCENARIOS
    if scenario is not in_one_transaction or done.is_transactional
]


# -- the matrix ------------------------------------------------------------------------------------


Tables = dict[tuple[Done, Scenario], tuple[str, str]]  # the database's url, and the name


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


@pytest.mark.parametrize(
    ("done", "scenario"), CELLS, ids=[f"{done}-{scenario.__name__}" for done, scenario in CELLS]
)
def test_every_cell(
    place_of: Callable[[str], tuple[Place, Tables]],
    start_worker: Callable[[str, str], Worker],
    done: Done,
    scenario: Scenario,
) -> None:
    place, tables = place_of(done.database)
    url, table = tables[done, scenario]
    expected = dict.fromkeys(SCENARIOS[scenario], done.expected)
    if done.named is not None and done.named.moment in expected:
        assert_named(url, table, done.named.line)
        expected[done.named.moment] = done.named.told
    assert scenario(Cell(place, done, url, table, lambda: start_worker(url, table))) == expected


def assert_named(url: str, table: str, words: str) -> None:
    """By one line of the doctor's report, which stands in the guarantees, too."""
    lines = diagnose(url, table, Settings()).lines()
    (limit,) = [line for line in lines if line.startswith("limit ") and words in line]
    assert _plain(limit.removeprefix("limit")) in _plain(GUARANTEES.read_text())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w.']+", text.lower()))


# -- other servers ---------------------------------------------------------------------------------


def test_a_new_cluster_that_gives_out_the_same_numbers_is_another_place(
    start_worker: Callable[[str, str], Worker], postgres_server: Postgres, tmp_path: Path
) -> None:
    """As after `docker compose down -v`: its oids, files and timeline are those of the old one."""
    numbers = "SELECT 't'::regclass::oid, pg_relation_filenode('t'), pg_walfile_name('0/1')"
    assert postgres_server.port  # there is a PostgreSQL here
    with Postgres() as old, Postgres() as new:
        place, url = Place("postgresql", "", tmp_path), old.create_database()
        place.run(url, "t", [create("postgresql"), insert(ROWS, "old")])
        told = [sql.execute(url, numbers)]
        worker = start_worker(url, "t")
        last_event_id, generation = worker.newest_id, worker.log.generation
        new.stop()
        old.stop()
        new.port = old.port
        new.start()
        assert new.create_database() == url
        place.run(url, "t", [create("postgresql"), insert(BEYOND)])
        told.append(sql.execute(url, numbers))
        assert told[0] == told[1]
        worker.poll()
        assert worker.log.generation > generation
        assert {one.told(last_event_id) for one in (worker, start_worker(url, "t"))} == {RESET}
        worker.database.close()


def test_a_standby_that_was_promoted_is_another_place(
    start_worker: Callable[[str, str], Worker], postgres_server: Postgres, tmp_path: Path
) -> None:
    assert postgres_server.port  # there is a PostgreSQL here
    with Postgres() as primary, Standby(primary) as standby:
        place, url = Place("postgresql", "", tmp_path), primary.create_database()
        place.run(url, "t", [create("postgresql"), insert(ROWS, "old")])
        hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in (primary, standby))
        name = url.rsplit("/", 1)[1]
        both = f"postgresql://rowcast@/{name}?{hosts}&target_session_attrs=read-write"
        worker = start_worker(both, "t")
        last_event_id, generation = worker.newest_id, worker.log.generation
        standby.wait_replayed()
        primary.stop("immediate")
        standby.promote()
        worker.poll()
        assert worker.log.generation > generation
        assert {one.told(last_event_id) for one in (worker, start_worker(both, "t"))} == {RESET}
        worker.database.close()


def test_another_mariadb_with_the_same_database_is_another_history(
    start_worker: Callable[[str, str], Worker],
    mariadb_server: MariaDB,
    mariadb_mdl_server: MariaDB,
    tmp_path: Path,
) -> None:
    """Both have the server id 1, as installed. An open stream cannot be tried: it would take the
    same port for both. It is judged by the rows, as after an ALTER."""
    urls, place = [], Place("mariadb", "", tmp_path)
    now = "SELECT NOW() > %s"
    for server in (mariadb_server, mariadb_mdl_server):
        sql.execute(server.url, "CREATE DATABASE of_both")
        urls.append(f"{server.url.rsplit('/', 1)[0]}/of_both")
    try:
        place.run(urls[0], "t", [create("mariadb"), insert(ROWS, "old")])
        (created,) = sql.execute(urls[0], "SELECT NOW()")[0]
        wait_until(lambda: bool(sql.execute(urls[1], now, [created])[0][0]), 30.0, "a new second")
        place.run(urls[1], "t", [create("mariadb"), insert(BEYOND)])
        last_event_id = start_worker(urls[0], "t").newest_id
        assert start_worker(urls[1], "t").told(last_event_id) == RESET
    finally:
        for url in urls:
            sql.execute(url, "DROP DATABASE of_both")


def test_a_mariadb_under_a_new_host_name_is_the_same(mariadb_url: str) -> None:
    """A container created anew has another. The name of this machine cannot be changed here, so the
    statement is looked at."""
    Place("mariadb", "", Path()).run(mariadb_url, "t", [create("mariadb")])
    database, table = Database(mariadb_url), Table("t")
    database.read(table.describe)
    database.close()
    assert "hostname" not in str(table.facts.status)
