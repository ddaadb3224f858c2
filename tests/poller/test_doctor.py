"""The doctor's verdict on tables of every kind, and that what it says to do is right."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy.dialects.postgresql.base import PGDialect

from poller.doctor import EXCEPTIONS, NOT_WATCHED, WHOLE, Report, diagnose
from poller.reading.dialects.facts import Finding
from poller.reading.dialects.product import not_postgresql
from poller.runtime.settings import Settings
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.pgbouncer import PgBouncer
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres, Standby
from wall.settings import PROJECT

SETTINGS = Settings()
YUGABYTE = "PostgreSQL 15.2-YB-2025.1.2.0-b0 on x86_64-pc-linux-gnu, compiled by clang, 64-bit"


def verdict(url: str, table: str = "notes", key: str | None = None) -> Report:
    return diagnose(url, table, SETTINGS, key)


def made(url: str, *statements: str) -> str:
    for statement in statements:
        sql.execute(url, statement)
    return url


def lacking(report: Report) -> str:
    """The facts that take from the promise."""
    return "; ".join(finding.fact for finding in report.exceptions)


# What makes the table `notes`, the exit status, and what is said of it.
Case = tuple[Sequence[str], int, str]

SQLITE: dict[str, Case] = {
    "AUTOINCREMENT": (["CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, b)"], WHOLE, ""),
    "without": (
        ["CREATE TABLE notes (id INTEGER PRIMARY KEY, b DEFAULT 'AUTOINCREMENT')"],
        EXCEPTIONS,
        "notes.id has no AUTOINCREMENT",
    ),
    "no rowid": (
        ["CREATE TABLE notes (id BIGINT PRIMARY KEY, b)"],
        EXCEPTIONS,
        "does not number",
    ),
    "below 1": (
        [
            "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, b)",
            "INSERT INTO notes (id) VALUES (0)",
        ],
        EXCEPTIONS,
        "notes.id has values below 1 or above 2^63 - 2, such as 0",
    ),
    "the greatest": (
        [
            "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, b)",
            "INSERT INTO notes (id) VALUES (9223372036854775807)",
        ],
        EXCEPTIONS,
        "such as 9223372036854775807",
    ),
    "no primary key": (["CREATE TABLE notes (id int, b)"], NOT_WATCHED, "no primary key"),
    "text key": (["CREATE TABLE notes (id TEXT PRIMARY KEY)"], NOT_WATCHED, "not an integer"),
    "view": (["CREATE VIEW notes AS SELECT 1 AS id"], NOT_WATCHED, "no primary key"),
}
IDENTITY = "id bigint GENERATED ALWAYS AS IDENTITY {} PRIMARY KEY"
POSTGRESQL: dict[str, Case] = {
    "identity": ([f"CREATE TABLE notes ({IDENTITY.format('')}, b text)"], WHOLE, ""),
    "serial": (["CREATE TABLE notes (id serial PRIMARY KEY, b text)"], WHOLE, ""),
    "CACHE": (
        [f"CREATE TABLE notes ({IDENTITY.format('(CACHE 10)')})"],
        EXCEPTIONS,
        "notes_id_seq has CACHE 10",
    ),
    "CYCLE": ([f"CREATE TABLE notes ({IDENTITY.format('(CYCLE)')})"], EXCEPTIONS, "has CYCLE"),
    "downwards": (
        [f"CREATE TABLE notes ({IDENTITY.format('(INCREMENT -1 MAXVALUE 99)')})"],
        EXCEPTIONS,
        "counts downwards",
    ),
    "INCREMENT": (
        [f"CREATE TABLE notes ({IDENTITY.format('(INCREMENT 50)')})"],
        EXCEPTIONS,
        "has INCREMENT 50",
    ),
    "from the bottom of an integer": (
        [f"CREATE TABLE notes ({IDENTITY.format('(MINVALUE -2147483648 START -2147483648)')})"],
        EXCEPTIONS,
        "the sequence notes_id_seq is at -2147483649",
    ),
    "below 1": (
        [
            "CREATE TABLE notes (id bigserial PRIMARY KEY)",
            "INSERT INTO notes VALUES (-7)",
        ],
        EXCEPTIONS,
        "notes.id has values below 1 or above 2^63 - 2, such as -7",
    ),
    "imported": (
        [
            "CREATE TABLE notes (id bigserial PRIMARY KEY)",
            "INSERT INTO notes VALUES (1000)",
        ],
        EXCEPTIONS,
        "the sequence notes_id_seq is below the greatest id",
    ),
    "set back": (
        [
            "CREATE TABLE notes (id bigserial PRIMARY KEY, b text)",
            "INSERT INTO notes (b) SELECT 'x' FROM generate_series(1, 9)",
            "SELECT setval('notes_id_seq', 4)",
        ],
        EXCEPTIONS,
        "the sequence notes_id_seq is below the greatest id",
    ),
    "no default": (
        ["CREATE TABLE notes (id bigint PRIMARY KEY)", "CREATE SEQUENCE own OWNED BY notes.id"],
        EXCEPTIONS,
        "notes.id has no default",
    ),
    "made from a sequence": (
        [
            "CREATE SEQUENCE own",
            "CREATE TABLE notes (id bigint PRIMARY KEY DEFAULT nextval('own') * 1000)",
        ],
        EXCEPTIONS,
        "notes.id is made from a sequence",
    ),
    "cast to an integer": (
        [
            'CREATE SEQUENCE "it\'s own"',
            "CREATE TABLE notes (id int PRIMARY KEY DEFAULT nextval('\"it''s own\"')::int)",
        ],
        WHOLE,
        "",
    ),
    "several sequences": (
        [
            "CREATE TABLE notes (id bigserial PRIMARY KEY)",
            "CREATE SEQUENCE another OWNED BY notes.id",
        ],
        EXCEPTIONS,
        "several sequences",
    ),
    "set by hand": (["CREATE TABLE notes (id int PRIMARY KEY)"], EXCEPTIONS, "no sequence gives"),
    "partitioned": (
        [
            "CREATE TABLE notes (id bigserial PRIMARY KEY) PARTITION BY RANGE (id)",
            "CREATE TABLE notes_1 PARTITION OF notes DEFAULT",
        ],
        WHOLE,
        "",
    ),
    "no primary key": (["CREATE TABLE notes (id bigserial)"], NOT_WATCHED, "no primary key"),
    "text key": (["CREATE TABLE notes (id text PRIMARY KEY)"], NOT_WATCHED, "not an integer"),
    "view": (["CREATE VIEW notes AS SELECT 1 AS id"], NOT_WATCHED, "no primary key"),
}
AUTO_INCREMENT = "CREATE TABLE notes (id bigint AUTO_INCREMENT PRIMARY KEY, b text)"
MARIADB: dict[str, Case] = {
    "AUTO_INCREMENT": ([AUTO_INCREMENT], EXCEPTIONS, "performance_schema is off"),
    "beyond a signed one": (
        [
            "CREATE TABLE notes (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, b text)",
            "INSERT INTO notes VALUES (9223372036854775813, 'x')",
        ],
        EXCEPTIONS,
        "notes.id has values below 1 or above 2^63 - 2, such as 9223372036854775813",
    ),
    "soon beyond a signed one": (
        [
            "CREATE TABLE notes (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, b text)",
            "ALTER TABLE notes AUTO_INCREMENT = 9223372036854775808",
        ],
        EXCEPTIONS,
        "AUTO_INCREMENT of notes has reached 9223372036854775807",
    ),
    "MyISAM": ([f"{AUTO_INCREMENT} ENGINE = MyISAM"], EXCEPTIONS, "engine MyISAM"),
    "set by hand": (["CREATE TABLE notes (id int PRIMARY KEY)"], EXCEPTIONS, "not AUTO_INCREMENT"),
    "no primary key": (["CREATE TABLE notes (id int)"], NOT_WATCHED, "no primary key"),
    "text key": (["CREATE TABLE notes (id varchar(9) PRIMARY KEY)"], NOT_WATCHED, "not an integer"),
    "view": (["CREATE VIEW notes AS SELECT 1 AS id"], NOT_WATCHED, "no primary key"),
}


def assert_verdict(url: str, case: Case) -> None:
    statements, status, said = case
    report = verdict(made(url, *statements))
    assert report.status == status, list(report.lines())
    assert said in (report.problem or lacking(report))
    for finding in report.exceptions:  # the SQL can be executed as it is
        assert sql.execute(url, finding.shown_by), finding


@pytest.mark.parametrize("case", SQLITE.values(), ids=SQLITE)
def test_verdict_on_sqlite(sqlite_url: str, case: Case) -> None:
    assert_verdict(sqlite_url, case)


@pytest.mark.parametrize("case", POSTGRESQL.values(), ids=POSTGRESQL)
def test_verdict_on_postgresql(postgresql_url: str, case: Case) -> None:
    assert_verdict(postgresql_url, case)


@pytest.mark.parametrize("case", MARIADB.values(), ids=MARIADB)
def test_verdict_on_mariadb(mariadb_url: str, case: Case) -> None:
    assert_verdict(mariadb_url, case)


def test_mariadb_that_shows_its_metadata_locks_gives_the_whole_promise(
    mariadb_mdl_url: str,
) -> None:
    report = verdict(made(mariadb_mdl_url, AUTO_INCREMENT))
    assert (report.status, report.fence) == (WHOLE, "metadata locks"), list(report.lines())


UNIQUE = "CREATE TABLE notes ({} int PRIMARY KEY, id bigint NOT NULL AUTO_INCREMENT UNIQUE)"


def test_a_key_that_is_not_the_primary_key_is_named_where_locks_are_not_seen(
    mariadb_url: str, mariadb_mdl_url: str
) -> None:
    """There an INSERT of one row may wait in the primary index, its id taken, before its row is in
    the index of the key."""
    report = verdict(made(mariadb_url, UNIQUE.format("number")), key="id")
    assert "and the key is not the primary key" in lacking(report)
    assert report.exceptions[0].lacking.startswith("an INSERT that takes longer than 5 s")
    assert verdict(made(mariadb_mdl_url, UNIQUE.format("number")), key="id").status == WHOLE
    sql.execute(mariadb_url, "DROP TABLE notes")
    assert "not the primary key" not in lacking(verdict(made(mariadb_url, AUTO_INCREMENT)))


def test_mariadb_that_interleaves_ids_is_named() -> None:
    with MariaDB("--innodb-autoinc-lock-mode=2") as server:
        report = verdict(made(server.create_database(), AUTO_INCREMENT))
    assert "innodb_autoinc_lock_mode is 2" in lacking(report)
    assert "INSERT ... SELECT" in report.exceptions[0].lacking


def test_a_hot_standby_is_named(postgresql_url: str, postgres_server: Postgres) -> None:
    made(postgresql_url, *POSTGRESQL["identity"][0])
    with Standby(postgres_server) as standby:
        standby.wait_replayed()
        report = verdict(standby.url_of(postgresql_url.rsplit("/", 1)[1]))
    assert (report.status, report.fence) == (EXCEPTIONS, "grace period")
    assert "this is a hot standby" in lacking(report)


@pytest.mark.parametrize(
    "named",
    [
        "CACHE",
        "CYCLE",
        "imported",
        "set back",
        "no default",
        "set by hand",
        "from the bottom of an integer",
    ],
)
def test_the_remedy_for_a_sequence_gives_the_whole_promise(postgresql_url: str, named: str) -> None:
    made(postgresql_url, *POSTGRESQL[named][0])
    remedy = verdict(postgresql_url).exceptions[0].remedy
    if named == "set by hand":
        remedy = "ALTER TABLE notes ALTER id ADD GENERATED BY DEFAULT AS IDENTITY"
    sql.execute(postgresql_url, remedy)
    assert verdict(postgresql_url).status == WHOLE


def test_a_view_with_a_key_is_named_on_every_database(database_url: str) -> None:
    made(database_url, "CREATE TABLE other (id int)", "CREATE VIEW notes AS SELECT id FROM other")
    report = verdict(database_url, key="id")
    assert report.status == EXCEPTIONS
    assert "notes is a view" in lacking(report)
    assert "index" not in lacking(report)


# -- a key other than the primary key -------------------------------------------------------------

INDEXES = {
    "none": ("", "notes.number has no index"),
    "plain": ("CREATE INDEX numbers ON notes (number)", "not a unique one"),
    "with another column": ("CREATE UNIQUE INDEX numbers ON notes (number, b)", "not a unique one"),
    "unique": ("CREATE UNIQUE INDEX numbers ON notes (number)", ""),
}


@pytest.mark.parametrize(("index", "said"), INDEXES.values(), ids=INDEXES)
def test_a_key_without_a_unique_index_is_named(database_url: str, index: str, said: str) -> None:
    made(database_url, "CREATE TABLE notes (id int PRIMARY KEY, number int NOT NULL, b int)")
    if index:
        sql.execute(database_url, index)
    report = verdict(database_url, key="number")
    assert report.status == EXCEPTIONS  # also since nothing gives the numbers
    assert said in lacking(report)
    assert ("index" in lacking(report)) == bool(said)


@pytest.mark.parametrize("server", ["sqlite", "postgresql"])
def test_a_partial_index_does_not_count(request: pytest.FixtureRequest, server: str) -> None:
    url = made(
        str(request.getfixturevalue(f"{server}_url")),
        "CREATE TABLE notes (id int PRIMARY KEY, number int NOT NULL)",
        "CREATE UNIQUE INDEX numbers ON notes (number) WHERE number > 5",
    )
    assert "notes.number has no index" in lacking(verdict(url, key="number"))


def test_a_key_that_may_be_null_is_named(database_url: str) -> None:
    made(database_url, "CREATE TABLE notes (id int PRIMARY KEY, number int UNIQUE)")
    assert "notes.number may be NULL" in lacking(verdict(database_url, key="number"))


def test_a_key_that_is_no_column_is_said(sqlite_url: str) -> None:
    made(sqlite_url, "CREATE TABLE notes (id int PRIMARY KEY)")
    report = verdict(sqlite_url, key="number")
    assert (report.status, report.problem) == (
        NOT_WATCHED,
        "notes has no column number: name an integer one",
    )


# -- what is between --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "said"),
    [("session", "a pooler in session mode is"), ("transaction", "a transaction pooler is")],
)
def test_a_pooler_is_named_and_takes_nothing_from_the_promise(
    postgresql_url: str, start_pgbouncer: Callable[..., PgBouncer], mode: str, said: str
) -> None:
    made(postgresql_url, *POSTGRESQL["identity"][0])
    report = verdict(start_pgbouncer(mode).url(postgresql_url))
    assert report.status == WHOLE
    assert said in str(report.findings[0])
    assert "pooler" not in "".join(map(str, verdict(postgresql_url).findings))


def test_a_url_that_cannot_be_used_is_said(sqlite_url: str) -> None:
    report = verdict("postgresql+psycopg2://me:geheim@h/d")
    assert report.status == NOT_WATCHED
    assert "write postgresql://" in report.problem


# -- the way out ----------------------------------------------------------------------------------

KEYLESS = {
    "text": "CREATE TABLE notes (id varchar(9) PRIMARY KEY, b int DEFAULT 3 NOT NULL)",
    "none": "CREATE TABLE notes (id varchar(9), b int DEFAULT 3 NOT NULL)",
    "quoted": 'CREATE TABLE notes ("the id" varchar(9) PRIMARY KEY, b int DEFAULT 3 NOT NULL)',
}


def follow_the_way_out(url: str, report: Report) -> str:
    """Executes the statements; the key that they add."""
    told = [*report.way_out]
    assert told[0] == "Give it an integer key, then name that: --key rowcast_id"
    if sql.dialect_of(url) == "sqlite":
        with closing(sqlite3.connect(sql.sqlite_path(url))) as connection:
            connection.executescript("\n".join(told[1:]))
    else:
        made(url, *filter(None, told[1:]))
    return "rowcast_id"


@pytest.mark.parametrize("table", KEYLESS.values(), ids=KEYLESS)
def test_a_table_without_an_integer_key_gets_one_by_what_is_said(
    database_url: str, table: str
) -> None:
    if sql.dialect_of(database_url) == "mariadb":
        table = table.replace('"', "`")
    made(
        database_url,
        table,
        "INSERT INTO notes VALUES ('x', 1)",
        "INSERT INTO notes VALUES ('y', 2)",
    )
    report = verdict(database_url)
    assert report.status == NOT_WATCHED
    key = follow_the_way_out(database_url, report)
    after = verdict(database_url, key=key)
    assert after.problem == ""
    assert "rowcast_id" not in lacking(after), "the key itself lacks nothing"
    assert sql.execute(database_url, "SELECT max(rowcast_id) FROM notes") == [(2,)]
    if sql.dialect_of(database_url) != "mariadb":  # as installed, it has other exceptions
        assert after.status == WHOLE, list(after.lines())


def test_the_way_out_loses_no_row_whose_key_is_null(sqlite_url: str) -> None:
    """SQLite allows that, and its shell goes on to DROP TABLE where the INSERT before it fails."""
    made(
        sqlite_url,
        "CREATE TABLE notes (id varchar(9) PRIMARY KEY, b int)",
        "INSERT INTO notes VALUES (NULL, 1)",
        "INSERT INTO notes VALUES (NULL, 2)",
        "INSERT INTO notes VALUES ('x', 3)",
    )
    follow_the_way_out(sqlite_url, verdict(sqlite_url))
    found = sql.execute(sqlite_url, "SELECT rowcast_id, id, b FROM notes ORDER BY b")
    assert found == [(1, None, 1), (2, None, 2), (3, "x", 3)]


def test_the_way_out_leaves_views_and_triggers_of_other_tables(sqlite_url: str) -> None:
    made(
        sqlite_url,
        "CREATE TABLE notes (id varchar(9) PRIMARY KEY, b int)",
        "CREATE TABLE log (b int)",
        "CREATE VIEW ids AS SELECT id FROM notes",
        "CREATE TRIGGER logged AFTER INSERT ON log BEGIN UPDATE notes SET b = NEW.b; END",
        "INSERT INTO notes VALUES ('x', 1)",
    )
    follow_the_way_out(sqlite_url, verdict(sqlite_url))
    sql.execute(sqlite_url, "INSERT INTO log VALUES (7)")
    assert sql.execute(sqlite_url, "SELECT ids.id, b FROM ids, notes") == [("x", 7)]


def test_a_uuid_key_gets_a_way_out(postgresql_url: str) -> None:
    made(postgresql_url, "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid())")
    key = follow_the_way_out(postgresql_url, verdict(postgresql_url))
    assert verdict(postgresql_url, key=key).status == WHOLE


def test_a_unique_integer_column_that_is_there_is_named(database_url: str) -> None:
    made(database_url, "CREATE TABLE notes (id varchar(9) PRIMARY KEY, n int NOT NULL UNIQUE)")
    told = verdict(database_url).way_out
    assert [*told] == ["An integer column that can be the key: n. Name it: --key n"]


BY_DATE = {
    "postgresql": [
        "CREATE TABLE notes (id bigserial, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d)",
        "CREATE TABLE notes_1 PARTITION OF notes DEFAULT",
    ],
    "mariadb": [
        "CREATE TABLE notes (id int AUTO_INCREMENT, d int, KEY (id)) PARTITION BY HASH (d)",
    ],
}


@pytest.mark.parametrize("server", BY_DATE)
def test_a_table_partitioned_by_date_gets_advice_that_is_possible(
    request: pytest.FixtureRequest, server: str
) -> None:
    url = made(str(request.getfixturevalue(f"{server}_url")), *BY_DATE[server])
    (finding,) = [one for one in verdict(url, key="id").exceptions if "unique" in one.fact]
    assert finding.remedy.startswith("a table partitioned by ")
    assert "can have no unique index on id alone" in finding.remedy
    (way_out,) = verdict(url).way_out
    assert way_out == "An integer column that can be the key: id. Name it: --key id"


@pytest.mark.parametrize("server", BY_DATE)
def test_a_table_partitioned_by_date_without_a_number_gets_one(
    request: pytest.FixtureRequest, server: str
) -> None:
    statements = [one.replace("bigserial", "text") for one in BY_DATE[server]]
    statements = [one.replace("int AUTO_INCREMENT", "varchar(9)") for one in statements]
    url = made(str(request.getfixturevalue(f"{server}_url")), *statements)
    key = follow_the_way_out(url, verdict(url))
    after = verdict(url, key=key)
    assert after.problem == ""
    (finding,) = [one for one in after.exceptions if "rowcast_id" in one.fact]
    assert finding.fact == "notes.rowcast_id has an index, but not a unique one of its own"


def test_a_key_with_duplicates_cannot_be_watched(database_url: str) -> None:
    made(database_url, "CREATE TABLE notes (id int PRIMARY KEY, number int NOT NULL)")
    sql.execute(database_url, "INSERT INTO notes VALUES (1, 7)")
    assert verdict(database_url, key="number").status == EXCEPTIONS
    sql.execute(database_url, "INSERT INTO notes VALUES (2, 7)")
    report = verdict(database_url, key="number")
    assert report.status == NOT_WATCHED
    assert report.problem.startswith("notes.number is not unique: several rows have 7")


# -- privileges -----------------------------------------------------------------------------------


@contextmanager
def reader(url: str) -> Iterator[str]:
    """The same database for a user who may only connect, and read the table `other`."""
    parts = urlsplit(url)
    postgresql = sql.dialect_of(url) == "postgresql"
    name = "reader" if postgresql else "reader@'%'"
    made(url, f"CREATE USER {name}", "CREATE TABLE other (id int)")
    sql.execute(url, f"GRANT SELECT ON other TO {name}")
    try:
        yield parts._replace(netloc=f"reader@{parts.hostname}:{parts.port}").geturl()
    finally:
        if postgresql:
            sql.execute(url, "DROP OWNED BY reader")
        sql.execute(url, f"DROP USER {name}")


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_table_that_may_not_be_read_is_said(request: pytest.FixtureRequest, server: str) -> None:
    url = str(request.getfixturevalue(f"{server}_url"))
    made(url, "CREATE TABLE notes (id int PRIMARY KEY)")
    with reader(url) as reader_url:
        report = verdict(reader_url)
        assert report.status == NOT_WATCHED
        assert report.problem.startswith("this user may not read notes; grant it SELECT")


def test_a_sequence_that_may_not_be_read_is_named_until_the_remedy(postgresql_url: str) -> None:
    made(postgresql_url, *POSTGRESQL["serial"][0])
    with reader(postgresql_url) as reader_url:
        sql.execute(postgresql_url, "GRANT SELECT ON notes TO reader")
        report = verdict(reader_url)
        assert lacking(report) == "the sequence notes_id_seq cannot be read"
        assert report.fence == "sequence locks"
        remedy = report.exceptions[0].remedy
        sql.execute(postgresql_url, remedy.replace("this user", "reader"))
        assert verdict(reader_url).status == WHOLE


def test_a_cluster_that_cannot_be_told_from_others_is_named_until_the_remedy(
    postgresql_url: str,
) -> None:
    made(postgresql_url, *POSTGRESQL["identity"][0])
    with reader(postgresql_url) as reader_url:
        sql.execute(postgresql_url, "GRANT SELECT ON notes, notes_id_seq TO reader")
        sql.execute(postgresql_url, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        report = verdict(reader_url)
        assert lacking(report).startswith("this user may not call pg_control_system()")
        sql.execute(postgresql_url, report.exceptions[0].remedy.replace("this user", "reader"))
        assert verdict(reader_url).status == WHOLE


def test_what_may_not_be_read_on_mariadb_is_named_until_the_remedy(mariadb_mdl_url: str) -> None:
    made(mariadb_mdl_url, AUTO_INCREMENT)
    with reader(mariadb_mdl_url) as reader_url:
        sql.execute(mariadb_mdl_url, "GRANT SELECT ON notes TO reader@'%'")
        report = verdict(reader_url)
        assert "InnoDB's own id of the table cannot be seen" in lacking(report)
        assert "may not read the tables of performance_schema" in lacking(report)
        for granted, finding in zip(
            ("PROCESS ON *.*", "SELECT ON performance_schema.*"), report.exceptions, strict=True
        ):
            assert f"GRANT {granted} to this user" in finding.remedy
            sql.execute(mariadb_mdl_url, f"GRANT {granted} TO reader@'%'")
        assert verdict(reader_url).status == WHOLE


def test_rows_that_a_policy_may_hide_are_named_until_the_remedy(postgresql_url: str) -> None:
    made(
        postgresql_url,
        *POSTGRESQL["serial"][0],
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY shown ON notes USING (b <> 'hidden')",
    )
    assert verdict(postgresql_url).status == WHOLE  # the owner sees every row
    with reader(postgresql_url) as reader_url:
        made(postgresql_url, "GRANT SELECT ON notes, notes_id_seq TO reader")
        report = verdict(reader_url)
        assert lacking(report) == "row-level security may hide rows of notes from this user"
        assert sql.execute(reader_url, report.exceptions[0].shown_by) == [(True,)]
        sql.execute(postgresql_url, "ALTER ROLE reader BYPASSRLS")
        assert verdict(reader_url).status == WHOLE


# -- what cannot be queried -----------------------------------------------------------------------


def test_a_table_that_is_not_there_is_said(database_url: str) -> None:
    made(database_url, "CREATE TABLE other (id int)")
    report = verdict(database_url)
    assert report.status == NOT_WATCHED
    assert report.problem == "there is no table notes; create it, or watch another"
    assert not report.way_out


def test_a_misspelt_table_or_key_brings_the_nearest_name(database_url: str) -> None:
    made(database_url, "CREATE TABLE notes (id varchar(9) PRIMARY KEY, number int NOT NULL UNIQUE)")
    assert [*verdict(database_url, "ntoes").way_out] == ["Did you mean notes?"]
    assert verdict(database_url, key="nubmer").way_out[0] == "Did you mean number?"


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_database_that_is_away_is_said_without_the_password(scheme: str) -> None:
    report = verdict(f"{scheme}://me:geheim@127.0.0.1:{free_port()}/shop?sslkey=geheim")
    assert report.status == NOT_WATCHED
    assert report.problem.startswith("the database cannot be queried: ")
    assert "geheim" not in "".join(report.lines())


def test_a_server_that_is_not_what_the_url_says_is_named(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy does not connect to CockroachDB; here PostgreSQL answers with its version."""

    class CockroachDB:
        def exec_driver_sql(self, _: str) -> "CockroachDB":
            return self

        def scalar(self) -> str:
            return "CockroachDB CCL v24.3.5 (x86_64-pc-linux-gnu, built 2025/02/03 17:28:15)"

    read: Callable[..., object] = PGDialect._get_server_version_info
    monkeypatch.setattr(
        PGDialect, "_get_server_version_info", lambda self, _: read(self, CockroachDB())
    )
    report = verdict(postgresql_url)
    assert report.status == NOT_WATCHED
    assert report.problem.startswith("the database cannot be queried: Rowcast does not know it.")
    assert "CockroachDB CCL v24.3.5" in report.problem


def test_a_product_that_only_speaks_the_protocol_is_watched_without_proof(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "poller.reading.dialects.product.not_postgresql", lambda _: not_postgresql(YUGABYTE)
    )
    report = verdict(made(postgresql_url, *POSTGRESQL["identity"][0]))
    assert (report.status, report.fence) == (EXCEPTIONS, "grace period")
    assert lacking(report) == "this is YugabyteDB, with rules of its own"


@pytest.mark.parametrize("url", ["posts.db", "postgresql://me:ge/heim@localhost/shop", "foo://x/y"])
def test_an_url_that_cannot_be_used_is_said(url: str) -> None:
    report = verdict(url)
    assert report.status == NOT_WATCHED
    assert "heim" not in "".join(report.lines())


def test_a_missing_sqlite_file_is_said_and_not_made(sqlite_url: str) -> None:
    path = Path(sql.sqlite_path(sqlite_url))
    report = verdict(sqlite_url)
    assert report.status == NOT_WATCHED
    assert report.problem == f"there is no file {path}; start what creates it, or name another"
    assert not any(path.parent.iterdir())


def test_an_sqlite_file_stays_as_it_is(sqlite_url: str) -> None:
    made(sqlite_url, *SQLITE["AUTOINCREMENT"][0])
    path = Path(sql.sqlite_path(sqlite_url))
    before = path.read_bytes()
    assert verdict(sqlite_url).status == WHOLE
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_sqlite_file_in_use_by_others_is_read(sqlite_url: str) -> None:
    made(sqlite_url, *SQLITE["AUTOINCREMENT"][0], "PRAGMA journal_mode = WAL")
    with sql.Transaction(sqlite_url) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes (b) VALUES ('x')")
        assert verdict(sqlite_url).status == WHOLE


# -- the report -----------------------------------------------------------------------------------


def test_a_lacking_finding_says_what_is_not_promised_what_to_do_and_what_shows_it() -> None:
    cache = Finding("the sequence has CACHE 10", "late rows", "ALTER SEQUENCE", "SELECT seqcache")
    report = Report("notes", "sqlite:///x", "grace period", [Finding("all is well"), cache])
    assert list(report.lines()) == [
        "notes in sqlite:///x",
        "",
        "ok     all is well",
        "lacks  the sequence has CACHE 10",
        "         not promised: late rows",
        "         what to do: ALTER SEQUENCE",
        "         shown by: SELECT seqcache",
        "fence  grace period",
        "",
        "notes can be watched, with the exception named above.",
    ]


# -- the command ----------------------------------------------------------------------------------


def doctor(*arguments: str, **env: str) -> tuple[int, str]:
    """The exit status, and what was printed: plain ASCII without colours."""
    ended = subprocess.run(
        [sys.executable, "-m", "poller", "doctor", *arguments],
        env={**os.environ, **env},
        cwd=PROJECT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"Traceback" not in ended.stderr
    assert b"\x1b" not in ended.stdout
    return ended.returncode, (ended.stdout + ended.stderr).decode("ascii")


def test_the_command_takes_the_database_from_the_environment(sqlite_url: str) -> None:
    made(sqlite_url, *SQLITE["AUTOINCREMENT"][0])
    status, said = doctor("notes", DATABASE_URL=sqlite_url)
    assert status == WHOLE
    assert said.splitlines()[-1] == "notes can be watched; the promise holds in full."
    assert doctor("notes", "--database", sqlite_url, DATABASE_URL="sqlite:///x") == (status, said)


def test_settings_of_the_wall_do_not_disturb_the_command(sqlite_url: str) -> None:
    made(sqlite_url, *SQLITE["AUTOINCREMENT"][0])
    assert doctor(sqlite_url, "notes", ROWCAST_PROXIES="1")[0] == WHOLE


def test_the_command_takes_a_table_of_any_name_and_a_key(sqlite_url: str) -> None:
    made(sqlite_url, 'CREATE TABLE "Gr\u00fc\u00dfe" (a int, "n\u00ba" int)')
    arguments = (sqlite_url, "Gr\u00fc\u00dfe", "--key", "n\u00ba")
    status, said = doctor(*arguments, PYTHONIOENCODING="ascii")
    assert status == EXCEPTIONS
    assert "Gr\\xfc\\xdfe.n\\xba has no index" in said


def test_the_command_gives_a_frozen_database_up(
    postgresql_url: str, postgres_server: Postgres
) -> None:
    postgres_server.freeze()
    status, said = doctor(postgresql_url, "notes", ROWCAST_QUERY_TIMEOUT="0.5")
    assert status == NOT_WATCHED
    assert "the database cannot be queried: " in said


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (("posts.db", "posts"), {}, "posts.db is neither an existing file nor the URL of a"),
        (("post gres://x", "posts"), {}, "not a database URL; write sqlite:///path, postgres"),
        (("sqlite:///posts.db",), {}, "name the table, too"),
        (("posts",), {"DATABASE_URL": ""}, "name the database: set DATABASE_URL"),
        (("sqlite:///posts.db", "posts", "more"), {}, "name one database and one table"),
        (
            ("sqlite:///posts.db", "posts"),
            {"ROWCAST_GRACE": "1"},
            "ROWCAST_GRACE is not a setting of Rowcast.",
        ),
    ],
)
def test_a_command_that_cannot_be_followed_is_said_in_a_line(
    arguments: Sequence[str], env: dict[str, str], said: str
) -> None:
    status, printed = doctor(*arguments, **env)
    assert status == NOT_WATCHED
    assert said in printed.splitlines()[-1]
