"""Transactions that end late, never, or in two phases: nobody waits, and no row of theirs is lost.

One wall for each kind of database serves all of these tests, each with a stream of its own. SQLite
has one writer at a time, so there is nothing to overtake: it is here where ids roll back.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.gunicorn import PROJECT
from tests.harness.process import Child, wait_until
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream
from tests.serving.watch import SETTLED_S, Site, Watch

pytestmark = pytest.mark.serving

SERVERS = ["postgresql", "mariadb", "mariadb_mdl"]
EACH_SERVER = pytest.mark.parametrize("shared_url", SERVERS, indirect=True)
POSTGRESQL = pytest.mark.parametrize("shared_url", SERVERS[:1], indirect=True)
GRACE = {"ROWCAST_GAP_GRACE": "0.3"}
SHARED_WALL = {"settings": GRACE}
HOLD_S = float(os.environ.get("TEST_HOLD_S", "1"))  # well beyond the grace; a campaign sets 30
OTHER_ROWS = 1_000
SLOW_S = 0.2

HOLDER = """
import signal, sys
from tests.harness import sql
with sql.Transaction(sys.argv[1]) as holder:
    holder.insert_post("never committed")
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def watch(site: Site, open_stream: OpenStream) -> Watch:
    return site.watch(open_stream)


def test_rolled_back_ids_are_settled(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    watch = Site(start_wall(database_url, GRACE), database_url).watch(open_stream)
    with sql.Transaction(database_url) as undone:
        for number in range(20):
            undone.insert_post(f"undone {number}")
        undone.rollback()
    watch.insert("kept")
    watch.wait_for("kept")
    watch.assert_settled()
    watch.assert_complete()


@EACH_SERVER
def test_late_commits_arrive_in_the_order_of_their_commits(watch: Watch) -> None:
    with sql.Transaction(watch.url) as first, sql.Transaction(watch.url) as second:
        one, two = first.insert_post("first"), second.insert_post("second")
        three = first.insert_post("first again")
        watch.insert("overtakes")
        watch.wait_for("overtakes")
        assert watch.gap_is_open()
        second.commit()
        watch.wait_for("second")
        first.commit()
        watch.wait_for("first again")
    watch.assert_complete(two, one, three)
    watch.assert_settled()


@EACH_SERVER
def test_savepoint_rolled_back_costs_only_its_own_rows(watch: Watch) -> None:
    with sql.Transaction(watch.url) as holder:
        before = holder.insert_post("before the savepoint")
        holder.execute("SAVEPOINT here")
        holder.insert_post("undone")
        holder.execute("ROLLBACK TO SAVEPOINT here")
        after = holder.insert_post("after the savepoint")
        watch.pulse(HOLD_S / 2)
        holder.commit()
    watch.assert_complete(before, after)
    watch.assert_settled()


@EACH_SERVER
def test_long_open_transaction_delays_nobody_and_is_waited_for(watch: Watch) -> None:
    with sql.Transaction(watch.url) as holder:
        held = holder.insert_post("held")
        for part in range(10):
            watch.insert(*[f"{part}"] * (OTHER_ROWS // 10))
        watch.stream.wait_for_rows(OTHER_ROWS)
        watch.pulse(HOLD_S)
        assert held not in watch.stream.row_ids
        holder.commit()
    watch.assert_complete(held)
    watch.assert_settled()


@EACH_SERVER
def test_open_transaction_outlives_the_worker_that_saw_its_gap(
    watch: Watch, open_stream: OpenStream
) -> None:
    with sql.Transaction(watch.url) as holder:
        held = holder.insert_post("held")
        watch.insert("overtakes")
        watch.wait_for("overtakes")
        (victim,) = watch.wall.worker_pids()
        watch.wall.kill_worker(victim)
        watch.stream.wait_for_end()
        wait_until(lambda: watch.wall.worker_pids() not in ([], [victim]), SETTLED_S, "a worker")
        again = open_stream(watch.wall.stream_url, watch.stream.last_event_id).wait_open()
        watch.insert("overtakes again")
        again.wait_for_body("overtakes again")
        holder.commit()
    again.wait_for_body("held")
    assert again.row_ids == [held + 2, held]
    assert again.of_type("reset") == []


@EACH_SERVER
@pytest.mark.parametrize("prepared", ["before its gap was seen", "after its gap was seen"])
def test_prepared_transaction_left_over_is_waited_for(watch: Watch, prepared: str) -> None:
    """Its connection is gone, so no process holds its rows; it commits all the same."""
    with sql.Transaction(watch.url, "left over") as holder:
        held = holder.insert_post("held")
        if prepared == "after its gap was seen":
            watch.insert("overtakes")
            watch.wait_for("overtakes")
            assert watch.gap_is_open()
        holder.prepare()
    watch.pulse(HOLD_S)
    sql.end_prepared(watch.url, "left over", "COMMIT")
    watch.assert_complete(held)
    watch.assert_settled()


@EACH_SERVER
def test_prepared_transaction_rolled_back_is_settled(watch: Watch) -> None:
    with sql.Transaction(watch.url, "left over") as holder:
        holder.insert_post("undone")
        holder.prepare()
    watch.insert("overtakes")
    watch.wait_for("overtakes")
    assert watch.gap_is_open()
    sql.end_prepared(watch.url, "left over", "ROLLBACK")
    watch.assert_settled()
    watch.assert_complete()


@EACH_SERVER
def test_killed_writer_leaves_ids_that_nobody_waits_for(watch: Watch, tmp_path: Path) -> None:
    program = [sys.executable, "-c", HOLDER, watch.url]
    writer = Child(program, tmp_path / "writer.log", cwd=PROJECT)
    wait_until(lambda: "held" in writer.log(), SETTLED_S, "the writer holds its row")
    watch.insert("overtakes")
    watch.wait_for("overtakes")
    assert watch.gap_is_open()
    writer.signal(signal.SIGKILL)
    writer.wait(SETTLED_S)
    watch.assert_settled()
    watch.assert_complete()


@EACH_SERVER
def test_open_transaction_on_another_table_holds_no_gap_open(watch: Watch) -> None:
    sql.execute(watch.url, "CREATE TABLE elsewhere (id INT PRIMARY KEY)")
    with sql.Transaction(watch.url) as unrelated, sql.Transaction(watch.url) as undone:
        unrelated.execute("INSERT INTO elsewhere VALUES (1)")
        undone.insert_post("undone")
        watch.insert("kept")
        watch.wait_for("kept")
        undone.rollback()
        watch.assert_settled()


@EACH_SERVER
def test_statement_that_inserts_slowly_loses_no_row(watch: Watch) -> None:
    """It takes an id every two poll intervals, and commits at its end."""
    wait = f"pg_sleep({SLOW_S})::text" if watch.url.startswith("postgresql") else f"SLEEP({SLOW_S})"
    rows = " UNION ALL ".join(f"SELECT 'slow', CONCAT('slow {n}', {wait})" for n in range(4))
    slow = f"INSERT INTO posts (author, body) {rows}"
    writer = threading.Thread(target=sql.execute, args=(watch.url, slow))
    writer.start()
    watch.pulse(0.5)
    writer.join()
    ids = [one for one in sql.post_ids(watch.url) if one > watch.start]
    assert sorted(watch.stream.wait_for_rows(len(ids))) == ids


# -- PostgreSQL: where the id comes from ----------------------------------------------------------


@POSTGRESQL
@pytest.mark.parametrize("savepoint", [False, True], ids=["", "in a savepoint rolled back"])
def test_id_drawn_before_its_insert_is_waited_for(watch: Watch, *, savepoint: bool) -> None:
    """Until the insert the transaction has no lock on the table, no row, and no transaction id."""
    with sql.Transaction(watch.url) as holder:
        if savepoint:
            holder.execute("SAVEPOINT here")
        ((drawn,),) = holder.execute("SELECT nextval(pg_get_serial_sequence('posts', 'id'))")
        if savepoint:
            holder.execute("ROLLBACK TO SAVEPOINT here")
        watch.pulse(HOLD_S)
        holder.execute(f"INSERT INTO posts (id, author, body) VALUES ({drawn}, 'a', 'drawn')")
        watch.pulse(HOLD_S / 3)
        holder.commit()
    watch.assert_complete(drawn)
    watch.assert_settled()


COLUMNS = "author text, body text, created_at timestamptz DEFAULT now()"
UNOWNED = f"""
CREATE SEQUENCE numbers;
CREATE TABLE posts (id bigint PRIMARY KEY DEFAULT nextval('numbers'), {COLUMNS})
"""
PARTITIONED = f"""
CREATE TABLE posts (id bigserial PRIMARY KEY, {COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE posts_old PARTITION OF posts FOR VALUES FROM (1) TO (3);
CREATE TABLE posts_new PARTITION OF posts FOR VALUES FROM (3) TO (1000000)
"""
TABLES = {
    "serial": f"CREATE TABLE posts (id serial PRIMARY KEY, {COLUMNS})",
    "sequence of nobody": UNOWNED,
    "partitioned": PARTITIONED,
}


@pytest.mark.parametrize("table", TABLES)
def test_open_transaction_is_waited_for_whatever_gives_the_ids(
    start_wall: Wall, open_stream: OpenStream, postgresql_url: str, table: str
) -> None:
    sql.execute(postgresql_url, TABLES[table])
    watch = Site(start_wall(postgresql_url, GRACE), postgresql_url).watch(open_stream)
    with sql.Transaction(postgresql_url) as holder:
        held = [holder.insert_post("held"), holder.insert_post("held too")]
        watch.pulse(HOLD_S)
        holder.commit()
    watch.assert_complete(*held)
    watch.assert_settled()
