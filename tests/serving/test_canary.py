"""A column that nobody listed never leaves, by any route: all bytes that a server sends are looked
through for a value that is only in such a column, and what is sent to clients for its name, too."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness import http, sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.sse import Stream

pytestmark = pytest.mark.serving

OpenStream = Callable[..., Stream]

NAME, VALUE = "canary_column", "canary-value"
KEYS = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "bigserial PRIMARY KEY",
}
READY = ("listed", "found")
FEEDS = (*READY, "absent")
BOUND_S = 60.0
LARGE = 2_000  # bytes; more than a value may have here
SETTINGS = {
    "ROWCAST_POST_RATE": "",  # which is a setting of the wall
    "ROWCAST_LOG_LEVEL": "debug",
    "ROWCAST_MAX_VALUE": "1024",
    "ROWCAST_HISTORY": "2",  # the rest is read in pages
    "ROWCAST_LOG_CAPACITY": "3",
}
# What is asked for in each feed, beside what a stream is asked for.
ASKED = [
    "/rows/{}?after=0", "/rows/{}", "/rows/{}?after=!", "/rows/{}?after=0&limit=1",
    "/rows/{}?limit=x", f"/rows/{{}}?after=0&{NAME}=x", "/rows/{}?after=0&name=Ada",
]  # fmt: skip
OTHERS = ["/", "/metrics", "/readyz", "/healthz", "/stream/accounts", "/rows/accounts", "/absent",
          "/rowcast.js", "/static/x", "/rows/absent"]  # fmt: skip


@dataclass
class Heard:
    """Everything that came from the servers."""

    to_clients: bytearray = field(default_factory=bytearray)
    streams: list[Stream] = field(default_factory=list)

    def ask(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> None:
        answer = http.request(url, method, headers=headers)
        self.to_clients += f"{answer.headers}{answer.text}".encode()

    def all_of_clients(self) -> bytes:
        return bytes(self.to_clients) + b"".join(bytes(one.raw) for one in self.streams)


@dataclass
class Shop:
    """The application's servers, one after the other and beside each other, over one table."""

    url: str
    start: Callable[[], Gunicorn]
    open_stream: OpenStream
    heard: Heard = field(default_factory=Heard)

    def insert(self, name: str, secret: str = "") -> None:
        columns, values = ["name"], [name]
        if secret:
            columns.append(NAME)
            values.append(secret)
        marks = ", ".join(["%s"] * len(values))
        sql.execute(
            self.url, f"INSERT INTO accounts ({', '.join(columns)}) VALUES ({marks})", values
        )

    def listen(self, server: Gunicorn) -> list[Stream]:
        """To all feeds of a server, in each form and from each place."""
        lines = {"Accept": "application/x-ndjson"}
        opened = [
            self.open_stream(f"{server.url}/stream/{feed}", last_event_id, **options)
            for feed in FEEDS
            for last_event_id in (None, "0", "rubbish")
            for options in ({}, {"headers": lines})
        ]
        self.heard.streams += opened
        return opened

    def ask(self, server: Gunicorn) -> None:
        for path in [*(one.format(feed) for one in ASKED for feed in READY), *OTHERS]:
            self.heard.ask(server.url + path)
        self.heard.ask(f"{server.url}/stream/listed", "POST")
        self.heard.ask(f"{server.url}/stream/listed", "HEAD")


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    start_gunicorn: Callable[..., Gunicorn],
    open_stream: OpenStream,
) -> Shop:
    database_url = str(request.getfixturevalue(f"{request.param}_url"))
    key = KEYS[sql.dialect_of(database_url)]
    sql.execute(database_url, f"CREATE TABLE accounts (id {key}, name varchar(3000))")

    def start() -> Gunicorn:
        env = {**SETTINGS, "DATABASE_URL": database_url, "FOLDER": str(tmp_path)}
        return start_gunicorn(env, app="tests.serving.canary_app:app")

    return Shop(database_url, start, open_stream)


def two_feeds_are_ready(server: Gunicorn) -> bool:
    feeds = server.get("/readyz").json["feeds"]
    return bool(feeds["listed"]["ready"] and feeds["found"]["ready"])


def wait_for(streams: list[Stream], text: str) -> None:
    """Every stream of the two feeds that can be watched has it."""
    for stream in streams:
        if "absent" not in stream.url:
            stream.wait_for(
                lambda it: text.encode() in it.raw, timeout_s=BOUND_S, what=f"{text}: {stream.url}"
            )


def test_what_nobody_listed_never_leaves(shop: Shop) -> None:
    for name in ("Ada", "Grace", "Edsger", "Barbara", "Donald"):
        shop.insert(name)
    old = shop.start()
    wait_until(lambda: two_feeds_are_ready(old), BOUND_S, "both are ready")
    streams = shop.listen(old)
    # The table gets the column while it is watched; then comes a worker that is younger.
    sql.execute(shop.url, f"ALTER TABLE accounts ADD COLUMN {NAME} varchar(200) DEFAULT '{VALUE}'")
    shop.insert("after the ALTER", f"{VALUE} 1")
    young = shop.start()
    wait_until(lambda: two_feeds_are_ready(young), BOUND_S, "both are ready")
    streams += shop.listen(young)
    shop.insert("l" * LARGE, f"{VALUE} 2")
    shop.insert("to both", f"{VALUE} 3")
    wait_for(streams, '"to both"')
    shop.ask(old)
    shop.ask(young)
    restart(old)
    streams = shop.listen(old)
    shop.insert("after the restart", f"{VALUE} 4")
    wait_for(streams, '"after the restart"')
    # Polls fail, and a reset comes.
    sql.execute(shop.url, "ALTER TABLE accounts RENAME TO elsewhere")
    wait_until(lambda: "poll failed" in old.log(), BOUND_S, "the table is missed")
    shop.ask(old)
    sql.execute(shop.url, "ALTER TABLE elsewhere RENAME TO accounts")
    wait_until(lambda: two_feeds_are_ready(old), BOUND_S, "both are ready again")
    streams = shop.listen(old)
    shop.insert("in the end", f"{VALUE} 5")
    wait_for(streams, '"in the end"')
    shop.ask(old)

    heard, logs = shop.heard.all_of_clients(), old.log() + young.log()
    for proof in (b"Ada", b"_withheld", b"event: reset", b"has no column canary_colum"):
        assert proof in heard, f"{proof!r}: less was heard than there was"
    assert VALUE.encode() not in heard
    assert VALUE not in logs
    assert NAME.encode() not in heard
    # Operators are told that there is such a column, and which are sent.
    told = [line for line in logs.splitlines() if NAME in line and f"{NAME}=x" not in line]
    assert told
    for line in told:
        assert "columns are those of the first look" in line or "has no column" in line


def restart(server: Gunicorn) -> None:
    """Another worker in the place of the only one."""
    assert server.child is not None
    (before,) = server.worker_pids()
    server.child.signal(signal.SIGHUP)
    wait_until(lambda: before not in server.worker_pids(), BOUND_S, "another worker")
    wait_until(lambda: two_feeds_are_ready(server), BOUND_S, "both are ready again")
