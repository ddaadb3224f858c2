"""Many tables of one database: few connections, a quiet start, and none waits for another."""

from collections.abc import Callable
from statistics import median

import pytest

from poller.reading.turns import AHEAD, KEPT, POLLS_AT_ONCE
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until
from tests.harness.sse import DEFAULT_TIMEOUT_S
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

TABLES = [f"table_{number}" for number in range(20)]
ROWS = 300
CATCH_UP_S = 60.0
ROUNDS = 40
ID = {
    "postgresql": "id bigserial PRIMARY KEY",
    "mariadb": "id bigint AUTO_INCREMENT PRIMARY KEY",
}
# Nothing is in the ring at first, so that every client reads its table in pages.
SETTINGS = {"ROWCAST_HISTORY": "0", "ROWCAST_POST_RATE": "", "FEEDS": " ".join(TABLES)}
SETTINGS["SHOWN"] = "id body"

WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist"
    " WHERE db = database() AND state LIKE 'Waiting for table % lock'",
}

Start = Callable[..., Gunicorn]


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with all the tables."""
    url = str(request.getfixturevalue(f"{request.param}_url"))
    for table in TABLES:
        sql.execute(url, f"CREATE TABLE {table} ({ID[request.param]}, body varchar(99))")
        insert(url, table, ROWS)
    return url


@pytest.fixture
def start(start_gunicorn: Callable[..., Gunicorn]) -> Start:
    def start(url: str, **settings: str) -> Gunicorn:
        env = {**SETTINGS, **settings, "DATABASE_URL": url}
        return start_gunicorn(env, app="tests.serving.many_feeds:app").wait_ready()

    return start


def insert(url: str, table: str, rows: int = 1) -> None:
    values = ", ".join(["('x')"] * rows)
    sql.execute(url, f"INSERT INTO {table} (body) VALUES {values}")


def test_twenty_tables_have_six_connections_and_start_without_an_error(
    url: str,
    start: Start,
    open_stream: OpenStream,
    server_of: Callable[[str], Postgres | MariaDB],
) -> None:
    wall = start(url)
    server = server_of(url)
    streams = [open_stream(f"{wall.url}/stream/{table}", "0") for table in TABLES for _ in range(2)]
    seen: list[int] = []
    for number in range(ROUNDS):
        insert(url, TABLES[number % len(TABLES)])
        seen.append(server.connections(url))
    for stream in streams:
        stream.wait_for_rows(ROWS + ROUNDS // len(TABLES), CATCH_UP_S)
        seen.append(server.connections(url))
    # On a busy machine a call may have waited so long that it went ahead, on one more.
    assert 0 < median(seen) <= KEPT == 6
    assert max(seen) <= KEPT + AHEAD
    assert " ERROR " not in wall.log()


def test_tables_that_somebody_has_locked_do_not_hold_up_the_others(
    url: str, start: Start, open_stream: OpenStream
) -> None:
    """All turns to poll are taken by polls that wait for a lock, and would be for longer than a row
    is waited for here."""
    wall = start(url, ROWCAST_QUERY_TIMEOUT=str(2 * DEFAULT_TIMEOUT_S))
    streams = {table: open_stream(f"{wall.url}/stream/{table}").wait_open() for table in TABLES[:7]}
    *locked, free = streams
    with sql.Transaction(url) as migration:
        if migration.dialect == "mariadb":
            tables = ", ".join(f"{table} WRITE" for table in locked)
            migration.execute(f"LOCK TABLES {tables}")
        else:
            migration.execute(f"LOCK TABLE {', '.join(locked)}")
        all_taken = lambda: waiting_for_a_lock(url) >= POLLS_AT_ONCE  # noqa: E731
        wait_until(all_taken, CATCH_UP_S, "all turns are taken")
        for number in range(3):
            insert(url, free)
            streams[free].wait_for_rows(number + 1)
    for table in locked:
        insert(url, table)
        streams[table].wait_for_rows(1, CATCH_UP_S)


def waiting_for_a_lock(url: str) -> int:
    return int(sql.execute(url, WAITING[sql.dialect_of(url)])[0][0])
