"""Hints between the processes of a machine, and from the database. Nothing is polled again within
an hour here: whatever comes was hinted at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.docs.pages import PROJECT, blocks
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.pgbouncer import PgBouncer
from tests.harness.process import wait_until
from tests.harness.sse import Stream

pytestmark = pytest.mark.serving

APP = "tests.serving.hints_app:app"
BOUND_S = 60.0
DATABASES = PROJECT / "docs" / "databases.md"
FEEDS = ("orders", "newest")
TABLE = {
    "sqlite": "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT)",
    "postgresql": "CREATE TABLE orders (id bigserial PRIMARY KEY, item text)",
}
# The query timeout is also how often the connection that listens is looked after.
LISTENING = {"ROWCAST_LISTEN": "shop", "ROWCAST_QUERY_TIMEOUT": "2"}
WHO_LISTENS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
    "(query LIKE 'LISTEN%' OR query LIKE '%pg_listening_channels())') AND pid <> pg_backend_pid()"
)


class Shop(Gunicorn):
    """Two workers, with a stream of each feed at each of them."""

    def __init__(self, folder: Path, url: str, env: dict[str, str], workers: int = 2) -> None:
        self.folder, self.database_url = folder, url
        sql.execute(url, TABLE[sql.dialect_of(url)])
        ours = {"DATABASE_URL": url, "ROWCAST_POST_RATE": "", "ROWCAST_POLL_INTERVAL": ""}
        super().__init__(folder, {**ours, **env}, app=APP, workers=workers)
        self._streams = ExitStack()
        self.streams: dict[str, list[Stream]] = {name: [] for name in FEEDS}

    @property
    def siblings(self) -> Path:
        (found,) = self.folder.glob("rowcast-workers-*")
        return found

    def open_streams(self) -> None:
        for pid in self.worker_pids():
            with self.only_worker(pid):
                for name, streams in self.streams.items():
                    stream = self._streams.enter_context(Stream(f"{self.url}/stream/{name}"))
                    streams.append(stream.wait_open())
        for stream in self.streams["newest"]:
            stream.wait_for(lambda one: one.of_type("live"), what="the window")

    def end(self) -> None:
        self._streams.close()
        super().end()

    def insert(self, item: str, how: str = "silent", more: str = "") -> None:
        reply = request(f"{self.url}/{how}/{item}{more}", "POST")
        assert reply.status == 200, reply.text

    def arrived(self, item: str, *names: str) -> None:
        for name in names or FEEDS:
            for stream in self.streams[name]:
                stream.wait_for(lambda one: item in items(one), what=item)

    def wake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`rowcast wake`, for this server alone: others may run on this machine."""
        command = [sys.executable, "-m", "poller", "wake", *arguments]
        env = {**os.environ, "POLLER_SIBLINGS": str(self.siblings)}
        return subprocess.run(
            command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False
        )


def items(stream: Stream) -> list[str]:
    return [row["item"] for row in stream.rows]


@pytest.fixture(scope="module")
def shop(shared_postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(tmp_path_factory.mktemp("shop"), shared_postgresql_url, LISTENING) as server:
        server.wait_ready()
        server.open_streams()
        yield server


def who_listens(shop: Shop) -> set[int]:
    return {pid for (pid,) in sql.execute(shop.database_url, WHO_LISTENS)}


def listen_with_two(shop: Shop) -> set[int]:
    return (
        wait_until(
            lambda: found if len(found := who_listens(shop)) == 2 else None, BOUND_S, "both listen"
        )
        or set()
    )


def test_an_insert_in_one_worker_is_seen_at_once_in_the_others(shop: Shop) -> None:
    shop.insert("told", "wake", "/1")
    shop.arrived("told 0")


def test_the_last_row_of_a_burst_is_not_left_out(shop: Shop) -> None:
    shop.insert("burst", "wake", "/100")
    shop.arrived("burst 99")
    assert [item for item in items(shop.streams["orders"][0]) if item.startswith("burst")] == [
        f"burst {number}" for number in range(100)
    ]


def test_a_command_wakes_the_workers(shop: Shop) -> None:
    shop.insert("by-command")
    done = shop.wake("orders")
    assert (done.returncode, done.stdout) == (0, "told 2 workers\n"), done.stderr
    shop.arrived("by-command", "orders")
    assert not any("by-command" in items(one) for one in shop.streams["newest"])
    assert shop.wake().returncode == 0
    shop.arrived("by-command")


def test_a_command_that_finds_nobody_says_what_to_do(shop: Shop, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for folder, said in (
        (tmp_path, "no worker can be reached in"),
        (tmp_path / "absent", "cannot be looked into"),
        (shop.folder, "others than its owner can look into it"),
    ):
        if folder == shop.folder:
            folder.chmod(0o755)
        done = shop.wake("orders", "--folder", str(folder))
        assert done.returncode == 2
        assert said in done.stderr


def test_a_notify_is_heard_by_every_worker(shop: Shop) -> None:
    listen_with_two(shop)
    shop.insert("by-name", "notify")
    shop.arrived("by-name", "orders")
    shop.insert("by-anybody")
    sql.execute(shop.database_url, "NOTIFY shop, 'a payload of its own'")
    shop.arrived("by-anybody")
    assert shop.get("/readyz").json["listen"] == {
        "channel": "shop", "listening": True, "problem": "",
    }  # fmt: skip


def test_a_trigger_tells_of_rows_from_any_program(shop: Shop) -> None:
    """That of the docs."""
    (recipe,) = [one for one in blocks(DATABASES) if one.options.get("recipe") == "notify"]
    sql.execute(shop.database_url, recipe.text)
    sql.execute(shop.database_url, "INSERT INTO orders (item) VALUES ('by-psql')")
    shop.arrived("by-psql", "orders")
    sql.execute(shop.database_url, "DROP FUNCTION tell_shop CASCADE")


def lost_and_found(shop: Shop, item: str, lose: Callable[[], object]) -> None:
    """The rows of meanwhile come with the new connection, and those after it are told of again."""
    before = listen_with_two(shop)
    shop.insert(item)
    lose()
    wait_until(lambda: not before & who_listens(shop), BOUND_S, "the old ones are gone")
    shop.arrived(item)
    listen_with_two(shop)
    shop.insert(f"after-{item}", "notify")
    shop.arrived(f"after-{item}", "orders")


def test_a_connection_that_was_ended_is_made_again(shop: Shop) -> None:
    def end() -> None:
        ended = WHO_LISTENS.replace("pid FROM", "pg_terminate_backend(pid) FROM", 1)
        sql.execute(shop.database_url, ended)

    lost, again = (shop.log().count(event) for event in ("listen lost", "listening again"))
    lost_and_found(shop, "ended", end)
    wait_until(lambda: shop.log().count("listening again") >= again + 2, BOUND_S, "both say so")
    assert shop.log().count("listen lost") >= lost + 2


def test_a_connection_that_tells_nothing_any_more_is_made_again(shop: Shop) -> None:
    """As after a cut cable: no end is told, and nothing is answered."""
    frozen = [psutil.Process(pid) for pid in listen_with_two(shop)]
    try:

        def freeze() -> None:
            for one in frozen:
                one.suspend()

        before = shop.log().count("listening again")
        shop.insert("frozen")
        freeze()
        wait_until(lambda: shop.log().count("listening again") >= before + 2, BOUND_S, "again")
        shop.arrived("frozen")
        shop.insert("after-frozen", "notify")
        shop.arrived("after-frozen", "orders")
    finally:
        for one in frozen:
            one.resume()


def test_hints_are_counted_by_where_they_come_from(shop: Shop) -> None:
    shop.insert("counted", "wake", "/1")
    shop.wake()
    told = shop.get("/metrics").text
    for source in ("worker", "command", "listen"):
        assert f'rowcast_hints_total{{feed="orders",source="{source}"}}' in told


def test_without_its_folder_a_worker_is_told_nothing_and_serves_on(shop: Shop) -> None:
    """The last of the module: the folder is gone afterwards."""
    for one in shop.siblings.iterdir():
        if one.is_socket():
            one.unlink()
    assert shop.wake().returncode == 2
    shutil.rmtree(shop.siblings)
    shop.insert("alone", "wake", "/1")
    sql.execute(shop.database_url, "NOTIFY shop")
    shop.arrived("alone 0")


# -- other ways ---------------------------------------------------------------------------------


def test_another_program_writes_to_an_sqlite_file(
    sqlite_url: str, tmp_path: Path, other_program: Callable[[str, str], None]
) -> None:
    with Shop(tmp_path, sqlite_url, {}, workers=1) as server:
        server.wait_ready()
        server.open_streams()
        for item in ("one", "two"):
            other_program(sqlite_url, f"INSERT INTO orders (item) VALUES ('{item}')")
            server.arrived(item)
        other_program(sqlite_url, "PRAGMA wal_checkpoint(TRUNCATE)")
        other_program(sqlite_url, "INSERT INTO orders (item) VALUES ('three')")
        server.arrived("three")
        assert "file not watched" not in server.log()


def test_behind_a_transaction_pooler_it_says_that_it_cannot_listen(
    postgresql_url: str, tmp_path: Path, start_pgbouncer: Callable[..., PgBouncer]
) -> None:
    pooled = start_pgbouncer("transaction").url(postgresql_url)
    with Shop(tmp_path, pooled, LISTENING, workers=1) as server:
        server.wait_ready()
        server.open_streams()
        wait_until(lambda: "listen impossible" in server.log(), BOUND_S, "it is said")
        told = server.get("/readyz").json
        assert told["ready"]
        assert not told["listen"]["listening"]
        assert "transaction pooler" in told["listen"]["problem"]
        server.insert("polled", "wake", "/1")
        server.arrived("polled 0")
        assert server.log().count("listen impossible") == 1
    assert sql.execute(postgresql_url, WHO_LISTENS) == []


def test_a_session_pooler_is_listened_through(
    postgresql_url: str, tmp_path: Path, start_pgbouncer: Callable[..., PgBouncer]
) -> None:
    pooled = start_pgbouncer("session").url(postgresql_url)
    with Shop(tmp_path, pooled, LISTENING, workers=1) as server:
        server.wait_ready()
        server.open_streams()
        wait_until(lambda: server.get("/readyz").json["listen"]["listening"], BOUND_S, "it listens")
        server.insert("heard", "notify")
        server.arrived("heard", "orders")
