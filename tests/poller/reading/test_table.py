"""The queries, on each database."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from poller.ids.cursor import Cursor
from poller.ids.ranges import Range
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.questions import Questions
from poller.reading.snapshot import Found, HistoryMoved
from poller.reading.table import Table
from tests.harness.sql import KEY_TYPES, Transaction

ANALYZE = {"postgresql": "ANALYZE notes", "mysql": "ANALYZE TABLE notes"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.write(
        lambda c: c.exec_driver_sql(
            f"CREATE TABLE notes (id {KEY_TYPES[database.dialect]}, body VARCHAR(100))"
        )
    )
    yield database
    database.close()


def insert(database: Database, *ids: int) -> None:
    for row_id in ids:
        database.write(
            lambda c, i=row_id: c.execute(  # type: ignore[misc]
                sa.text("INSERT INTO notes (id, body) VALUES (:id, :body)"),
                {"id": i, "body": f"note {i}"},
            )
        )


def write_ids(database: Database, ids: Iterable[int]) -> None:
    rows = [{"id": row_id} for row_id in ids]
    database.write(
        lambda c: c.execute(sa.text("INSERT INTO notes (id, body) VALUES (:id, 'x')"), rows)
    )


def described(database: Database, **options: object) -> Table:
    table = Table("notes", **options)  # type: ignore[arg-type]
    database.read(table.describe)
    return table


def polled(database: Database, table: Table, cursor: Cursor, limit: int = 100) -> list[int]:
    reading = database.read(lambda c: table.poll(c, cursor, limit))
    return [row.id for row in reading.rows]


def test_a_poll_brings_rows_above_the_position_in_id_order(database: Database) -> None:
    insert(database, 3, 1, 2)
    table = described(database)
    reading = database.read(lambda c: table.poll(c, Cursor.at(1), 100))
    assert [(row.id, row.columns) for row in reading.rows] == [
        (2, {"id": 2, "body": "note 2"}),
        (3, {"id": 3, "body": "note 3"}),
    ]


def test_a_poll_brings_rows_in_the_gaps_of_the_cursor(database: Database) -> None:
    insert(database, 2, 5, 6, 7, 9, 12)
    table = described(database)
    assert polled(database, table, Cursor.at(10, [(2, 3), (6, 6), (9, 9)])) == [2, 6, 9, 12]
    assert polled(database, table, Cursor.at(10, [(6, 6)])) == [6, 12]


def test_a_poll_of_an_unchanged_table_brings_nothing_new(
    database: Database,
) -> None:
    table = described(database)
    empty = database.read(lambda c: table.poll(c, Cursor(), 100))
    assert empty.rows == []
    insert(database, 1)
    after = database.read(lambda c: table.poll(c, Cursor.at(1), 100))
    assert (after.rows, after.history, after.counter) == ([], empty.history, 1)


def test_a_limit_cuts_the_highest_ids_off(database: Database) -> None:
    insert(database, 1, 2, 3, 4)
    assert polled(database, described(database), Cursor(), limit=3) == [1, 2, 3]


def test_the_counter_stays_when_the_newest_row_is_deleted(database: Database) -> None:
    for _ in range(2):
        database.write(lambda c: c.exec_driver_sql("INSERT INTO notes (body) VALUES ('x')"))
    table = described(database)
    before = database.read(lambda c: table.poll(c, Cursor(), 100)).counter
    database.write(lambda c: c.exec_driver_sql("DELETE FROM notes"))
    after = database.read(lambda c: table.poll(c, Cursor(), 100)).counter
    assert before == after == 2


def test_ids_set_by_hand_do_not_look_like_a_restart(database: Database) -> None:
    insert(database, 1000)
    table = described(database)
    reading = database.read(lambda c: table.poll(c, Cursor.at(1000), 100))
    assert reading.counter is not None
    assert reading.counter >= 1000


def test_the_counter_of_another_column_does_not_look_like_a_restart(database_url: str) -> None:
    database = Database(database_url)
    made = f"id {KEY_TYPES[database.dialect]}, number INT NOT NULL UNIQUE"
    database.write(lambda c: c.exec_driver_sql(f"CREATE TABLE notes ({made})"))
    database.write(lambda c: c.exec_driver_sql("INSERT INTO notes (number) VALUES (1000)"))
    table = described(database, key="number")
    reading = database.read(lambda c: table.poll(c, Cursor(), 100))
    assert [row.id for row in reading.rows] == [1000]
    assert reading.counter is None
    database.close()


def test_a_page_brings_rows_of_the_given_ranges(database: Database) -> None:
    insert(database, *range(1, 9))
    table = described(database)
    rows = database.read(lambda c: table.page(c, [(2, 3), (5, 5), (7, 100)], 4).rows)
    assert [row.id for row in rows] == [2, 3, 5, 7]


def test_a_page_of_many_ranges_brings_the_same_rows_in_few_statements(database: Database) -> None:
    sparse = [1_000 * n for n in range(1, 81)]
    dense = range(100_000, 100_400)
    database.write(
        lambda c: c.execute(
            sa.text("INSERT INTO notes (id, body) VALUES (:id, 'x')"),
            [{"id": i} for i in (*sparse, *dense)],
        )
    )
    table = described(database)
    wide = [(i - 400, i + 400) for i in sparse[1::2]]
    single = [(i, i) for i in dense[::2]]
    statements: list[str] = []

    def page(limit: int) -> list[int]:
        def read(connection: sa.Connection) -> Found:
            sa.event.listen(
                connection, "before_cursor_execute", lambda *told: statements.append(told[2])
            )
            return table.page(connection, [*wide, *single], limit)

        statements.clear()
        return [row.id for row in database.read(read).rows]

    expected = [*sparse[1::2], *dense[::2]]
    assert page(1_000) == expected
    assert len(statements) <= 4
    for limit in (1, 30, 41, 200):
        assert page(limit) == expected[:limit]
        assert len(statements) <= 4


def test_a_page_says_of_which_history_its_rows_are(database: Database) -> None:
    insert(database, 1, 2)
    table = described(database)
    before = database.read(table.history)
    assert database.read(lambda c: table.page(c, [(1, 9)], 9)).history == before
    assert database.read(lambda c: table.page(c, [(8, 9)], 9)).history == before
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE notes RENAME TO away"))
    made = f"CREATE TABLE notes (id {KEY_TYPES[database.dialect]}, body VARCHAR(100), more INT)"
    database.write(lambda c: c.exec_driver_sql(made))
    insert(database, 1, 2)
    page = database.read(lambda c: table.page(c, [(1, 9)], 9))
    # MariaDB knows a table by the second in which it was made, and by its number at the last look.
    assert page.history != before or database.dialect in ("mysql", "mariadb")


def test_a_table_that_is_replaced_between_two_statements_gives_no_rows(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_url)
    database.write(lambda c: c.exec_driver_sql(f"CREATE TABLE notes (id {KEY_TYPES['sqlite']})"))
    table = described(database)
    ranges = [(1, 100), (200, 300)]
    assert database.read(lambda c: table.page(c, ranges, 9)).rows == []
    statements = [0]

    def replace(connection: sa.Connection) -> None:
        execute = sa.Connection.execute

        def counted(self: sa.Connection, *arguments: object) -> object:
            if self is connection and statements[0] == 1:
                self.exec_driver_sql("CREATE TABLE other (id int)")
            statements[0] += 1
            return execute(self, *arguments)  # type: ignore[call-overload]

        monkeypatch.setattr(sa.Connection, "execute", counted)

    def work(connection: sa.Connection) -> None:
        replace(connection)
        table.page(connection, ranges, 9)

    with pytest.raises(HistoryMoved):
        database.read(work)
    database.close()


def test_the_start_has_so_many_rows_above_it(database: Database) -> None:
    table = described(database)
    assert database.read(lambda c: table.start_below(c, 2)) == 0
    insert(database, 1, 5, 6, 9)
    assert database.read(lambda c: table.start_below(c, 2)) == 5
    assert database.read(lambda c: table.start_below(c, 0)) == 9
    assert database.read(lambda c: table.start_below(c, 100)) == 0


def test_a_recreated_table_is_another_history_or_a_restarted_counter(database: Database) -> None:
    insert(database, 1, 2, 3)
    table = described(database)
    before = database.read(lambda c: table.poll(c, Cursor(), 100))
    database.write(lambda c: c.exec_driver_sql("DROP TABLE notes"))
    database.write(
        lambda c: c.exec_driver_sql(
            f"CREATE TABLE notes (id {KEY_TYPES[database.dialect]}, body VARCHAR(100))"
        )
    )
    after = database.read(lambda c: table.poll(c, Cursor.at(3), 100))
    assert after.history != before.history or (after.counter is not None and after.counter < 3)


def test_a_mariadb_table_of_any_name_has_another_epoch_once_truncated(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    made = "CREATE TABLE `my-gr\u00fc\u00dfe` (id INT AUTO_INCREMENT PRIMARY KEY)"
    database.write(lambda c: c.exec_driver_sql(made))
    epochs = set()
    for _ in range(2):
        table = Table("my-gr\u00fc\u00dfe")
        database.read(table.describe)
        epochs.add(database.read(table.history).epoch)
        database.write(lambda c: c.exec_driver_sql("TRUNCATE `my-gr\u00fc\u00dfe`"))
    assert len(epochs) == 2
    database.close()


def test_only_listed_columns_are_read(database: Database) -> None:
    insert(database, 1)
    table = described(database, columns=["body"])
    rows = database.read(lambda c: table.page(c, [(1, 1)], 1).rows)
    assert rows[0].columns == {"body": "note 1"}


def test_a_column_added_later_does_not_appear(database: Database) -> None:
    table = described(database)
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE notes ADD COLUMN secret VARCHAR(9)"))
    insert(database, 1)
    rows = database.read(lambda c: table.page(c, [(1, 1)], 1).rows)
    assert rows[0].columns == {"id": 1, "body": "note 1"}


def test_a_column_added_later_stays_hidden_when_looked_at_again(
    database: Database,
) -> None:
    table = described(database)
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE notes ADD COLUMN secret VARCHAR(9)"))
    database.read(table.describe)
    insert(database, 1)
    rows = database.read(lambda c: table.page(c, [(1, 1)], 1).rows)
    assert rows[0].columns == {"id": 1, "body": "note 1"}
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE notes DROP COLUMN body"))
    database.read(table.describe)
    rows = database.read(lambda c: table.page(c, [(1, 1)], 1).rows)
    assert rows[0].columns == {"id": 1, "body": None}
    assert rows[0].withheld == {"body": "the table no longer has this column"}


def test_hundreds_of_ranges_of_any_size_bring_just_their_rows(database: Database) -> None:
    insert(database, *range(1, 400, 3))
    table = described(database)
    holes = tuple((n * 1000, n * 1000 + n % 80) for n in range(1, 400))
    assert polled(database, table, Cursor.at(10**6, holes)) == []
    short = tuple((n, n + 1) for n in range(2, 300, 4))
    assert polled(database, table, Cursor.at(390, short), limit=1000) == [
        *(n for n in range(1, 391, 3) if any(low <= n <= high for low, high in short)),
        *range(391, 400, 3),
    ]


def test_the_lowest_rows_come_first_when_many_ranges_meet_the_limit(database: Database) -> None:
    insert(database, *range(1, 2000, 40))
    table = described(database)
    wide = tuple((n, n + 35) for n in range(1, 1900, 40))
    assert polled(database, table, Cursor.at(1950, wide), limit=5) == [1, 41, 81, 121, 161]


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint"])
def test_a_key_of_any_size_is_polled(database_url: str, kind: str) -> None:
    database = Database(database_url)
    database.write(lambda c: c.exec_driver_sql(f"CREATE TABLE notes (id {kind} PRIMARY KEY)"))
    database.write(lambda c: c.exec_driver_sql("INSERT INTO notes VALUES (1), (7), (32767)"))
    table = described(database)
    assert polled(database, table, Cursor.at(5, [(1, 2)])) == [1, 7, 32767]
    assert polled(database, table, Cursor.at(10**12, [(7, 7)])) == [7]
    database.close()


def test_gaps_between_ids_that_are_far_apart_are_found_filled(database: Database) -> None:
    """As many single ids and ranges beside each other as there are."""
    sparse, dense = range(1_000, 401_000, 1_000), range(500_000, 500_400, 2)
    late = [1_001, 200_500, 400_999, 500_001, 500_399]
    write_ids(database, [*sparse, *dense, *late, 600_000])
    table = described(database)
    gaps = [*((i + 1, i + 999) for i in sparse), *((i + 1, i + 1) for i in dense)]
    cursor = Cursor.at(500_400, gaps)
    assert polled(database, table, cursor, 1_000) == [*late, 600_000]
    assert polled(database, table, cursor, 2) == late[:2]
    filled = cursor.retire([(i, i) for i in late])
    assert polled(database, table, filled) == [600_000]


def test_a_key_of_any_name_is_read(database_url: str) -> None:
    database = Database(database_url)
    name = {"postgresql": '"i{}d %s"', "sqlite": '"i{}d %s"'}.get(database.dialect, "`i{}d %s`")
    name_sent = name.replace("%", "%%") if not database.is_sqlite else name
    database.write(
        lambda c: c.exec_driver_sql(
            f"CREATE TABLE notes ({name_sent} {KEY_TYPES[database.dialect]}, body VARCHAR(9))"
        )
    )
    for _ in range(9):
        database.write(lambda c: c.exec_driver_sql("INSERT INTO notes (body) VALUES ('x')"))
    table = described(database)
    gaps = [(2, 2), (5, 5), (100, 199), (300, 399)]
    assert polled(database, table, Cursor.at(500, gaps)) == [2, 5]
    database.close()


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("gaps", [1, 1_000])
def test_gaps_are_read_by_the_index_of_the_key(database: Database, gaps: int) -> None:
    """Each is one short walk, and the planner does not take them for a lot of work: PostgreSQL
    would compile the statement first (JIT), from a cost of 100,000 on."""
    write_ids(database, range(100, 1_000_000, 100))
    database.write(lambda c: c.exec_driver_sql(ANALYZE[database.dialect]))
    table = described(database)
    cursor = Cursor.at(
        1_000_000, [(i + 1, i + 99) for i in range(500_000, 500_000 + 100 * gaps, 100)]
    )
    plan = database.read(lambda c: explained(c, lambda: table.poll(c, cursor, 500)))
    if database.dialect == "postgresql":
        assert "Seq Scan on notes " not in plan  # that on its sequence is one row
        assert max(float(cost) for cost in re.findall(r"cost=[0-9.]+\.\.([0-9.]+)", plan)) < 10_000
    else:
        assert "'notes', 'range', 'PRIMARY'" in plan
        assert "'notes', 'index'" not in plan
        assert "'notes', 'ALL'" not in plan


@pytest.fixture
def never_analysed(postgresql_url: str) -> Iterator[Database]:
    """A table of which the planner knows nothing, and takes its texts for long: few rows."""
    database = Database(postgresql_url)
    columns = f"id {KEY_TYPES['postgresql']}, body VARCHAR(2000)"
    never = "WITH (autovacuum_enabled = false)"
    database.write(lambda c: c.exec_driver_sql(f"CREATE TABLE notes ({columns}) {never}"))
    yield database
    database.close()


def fill(database: Database, rows: int, step: int = 1) -> None:
    ids = f"generate_series({step}, {rows * step}, {step})"
    insert_all = f"INSERT INTO notes (id, body) SELECT one, 'note' FROM {ids} AS one"
    database.write(lambda c: c.exec_driver_sql(insert_all))


@pytest.mark.parametrize("gaps", [1, 2, 300, 3_000])
def test_of_a_table_that_was_never_analysed_gaps_are_read_by_the_index(
    never_analysed: Database, gaps: int
) -> None:
    """It was walked, and at each row the text of all ids was read: 2.6 s with 3,700 gaps."""
    fill(never_analysed, 3_000, step=2)
    table = described(never_analysed)
    cursor = Cursor.at(6_000, [(i, i) for i in range(1, 2 * gaps, 2)])
    plan = never_analysed.read(lambda c: explained(c, lambda: table.poll(c, cursor, 500)))
    assert "Seq Scan on notes " not in plan
    insert(never_analysed, 5_999)
    assert polled(never_analysed, table, cursor) == [5_999] * (gaps == 3_000)


@pytest.mark.parametrize("gaps", [(), ((3, 3),), ((3, 3), (5, 9))])
def test_of_a_table_that_was_never_analysed_a_batch_reads_no_more_than_itself(
    never_analysed: Database, gaps: tuple[Range, ...]
) -> None:
    """All rows above the position were gathered and sorted: each batch of a bulk read all of it."""
    fill(never_analysed, 50_000)
    table = described(never_analysed)
    cursor = Cursor.at(10, gaps)
    plan = never_analysed.read(
        lambda c: explained(c, lambda: table.poll(c, cursor, 500), "EXPLAIN (ANALYZE, BUFFERS)")
    )
    assert buffers(plan) < 100
    missed = [row_id for low, high in gaps for row_id in range(low, high + 1)]
    assert polled(never_analysed, table, cursor, 9) == [*missed, *range(11, 20)][:9]


def buffers(plan: str) -> int:
    """Pages that were read, by a plan with BUFFERS."""
    read = re.search(r"Buffers: shared hit=(\d+)", plan)
    assert read is not None
    return int(read[1])


def test_the_counter_walks_no_deleted_rows(postgresql_url: str) -> None:
    """A queue's: each poll went over the index entries of all that had been taken from it."""
    database = Database(postgresql_url)
    database.write(
        lambda c: c.exec_driver_sql(f"CREATE TABLE notes (id {KEY_TYPES['postgresql']})")
    )
    with Transaction(postgresql_url) as other:
        other.execute("SELECT txid_current()")  # keeps VACUUM from them
        insert_50_000 = "INSERT INTO notes SELECT FROM generate_series(1, 50000)"
        database.write(lambda c: c.exec_driver_sql(insert_50_000))
        database.write(lambda c: c.exec_driver_sql("DELETE FROM notes"))
        table = described(database)
        plan = database.read(
            lambda c: explained(
                c, lambda: table.poll(c, Cursor.at(50_000), 500), "EXPLAIN (ANALYZE, BUFFERS)"
            )
        )
        assert buffers(plan) < 100
        assert database.read(lambda c: table.poll(c, Cursor(), 500)).counter == 50_000
    database.close()


def test_rows_set_by_hand_above_the_sequence_count(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    database.write(
        lambda c: c.exec_driver_sql(f"CREATE TABLE notes (id {KEY_TYPES['postgresql']}, body TEXT)")
    )
    table = described(database)

    def counter() -> int | None:
        return database.read(lambda c: table.poll(c, Cursor(), 9)).counter

    assert counter() == 0
    write_ids(database, [7, 900])
    assert counter() == 900
    database.write(lambda c: c.exec_driver_sql("INSERT INTO notes (body) VALUES ('x')"))
    assert counter() == 900
    database.write(lambda c: c.exec_driver_sql("DELETE FROM notes WHERE id > 1"))
    assert counter() == 1
    database.close()


def explained(
    connection: sa.Connection, work: Callable[[], object], explain_sql: str = "EXPLAIN"
) -> str:
    """The plan of the one statement that `work` executes."""
    plans: list[str] = []

    def explain(_: object, cursor: Any, sql: str, bounds: Any, *rest: object) -> None:
        cursor.execute(f"{explain_sql} {sql}", bounds)
        plans.append(str(cursor.fetchall()))

    sa.event.listen(connection, "before_cursor_execute", explain)
    work()
    (plan,) = plans
    return plan


def test_on_sqlite_no_range_walks_the_table(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.write(lambda c: c.exec_driver_sql(f"CREATE TABLE notes (id {KEY_TYPES['sqlite']})"))
    table = described(database)
    ranges = ((5, 5), (9, 9), (1000, 2000), (30_000, 90_000))

    def plan(connection: sa.Connection) -> str:
        columns = table._last_look().description.columns.at_once
        questions = Questions("sqlite", table._key, columns, few_rows=True)
        ((statement, bounds),) = questions.about(ranges, 100)
        told = statement.params(bounds)
        sql = str(told.compile(connection, compile_kwargs={"literal_binds": True}))
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all())

    found = database.read(plan)
    assert "SCAN notes" not in found
    assert found.count("SEARCH notes USING INTEGER PRIMARY KEY") == 3
    database.close()


def test_a_cleared_sqlite_sequence_is_no_restart(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    for statement in (
        f"CREATE TABLE notes (id {KEY_TYPES['sqlite']})",
        "INSERT INTO notes DEFAULT VALUES",
        "INSERT INTO notes DEFAULT VALUES",
        "DELETE FROM sqlite_sequence",
    ):
        database.write(lambda c, sql=statement: c.exec_driver_sql(sql))  # type: ignore[misc]
    table = described(database)
    assert database.read(lambda c: table.poll(c, Cursor.at(2), 9)).counter == 2
    database.close()


def test_what_cannot_be_watched_is_named_with_what_to_do(database: Database) -> None:
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE keyless (body VARCHAR(100))"))
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE named (name VARCHAR(9) PRIMARY KEY)"))
    for table, told in [
        (Table("absent"), "there is no table absent"),
        (Table("keyless"), "no primary key of one column"),
        (Table("named"), "is not an integer"),
        (Table("notes", key="nothing"), "has no column nothing"),
        (Table("notes", columns=["nothing"]), "has no column nothing"),
    ]:
        with pytest.raises(TableError, match=told):
            database.read(table.describe)


def test_a_hostile_table_name_is_quoted(database: Database) -> None:
    with pytest.raises(TableError, match="there is no table"):
        database.read(Table('notes"; DROP TABLE notes; --').describe)
    insert(database, 1)


def test_a_watched_column_that_is_gone_is_an_error(
    database: Database,
) -> None:
    insert(database, 1)
    table = described(database)
    database.write(lambda c: c.exec_driver_sql("ALTER TABLE notes DROP COLUMN body"))
    with pytest.raises(DBAPIError):
        polled(database, table, Cursor())


def test_sqlite_dates_are_streamed_as_they_were_written(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.write(
        lambda c: c.exec_driver_sql(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, at DATETIME)"
        )
    )
    database.write(
        lambda c: c.exec_driver_sql("INSERT INTO notes (at) VALUES ('2026-11-22T10:00Z'), (7)")
    )
    table = described(database)
    rows = database.read(lambda c: table.page(c, [(1, 9)], 9).rows)
    assert [row.columns for row in rows] == [
        {"id": 1, "at": "2026-11-22T10:00Z"},
        {"id": 2, "at": 7},
    ]
    database.close()


def test_sqlite_without_autoincrement_is_named(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
    table = described(database)
    assert "AUTOINCREMENT" in str(table.facts.exceptions[0])
    database.close()


def test_the_second_is_that_of_the_database(database: Database) -> None:
    """Of UTC, since 1970. It runs on this machine, so that their clocks agree."""
    table = described(database)
    before = int(time.time())
    second = database.read(lambda c: table.poll(c, Cursor.at(0), 1)).second
    assert before <= second <= time.time()
