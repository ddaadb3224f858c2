"""`/rows` on a real gunicorn: walks under concurrent commits, and requests that wait."""

import json
import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.harness import sql
from tests.harness.gunicorn import WAITS_FOR_STREAMS, Gunicorn
from tests.harness.process import wait_until
from tests.harness.rows import RowsReader
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

WRITERS, TRANSACTIONS, OLD_ROWS = 4, 30, 300
SOON_S = 60.0


def rows_url(wall: Gunicorn) -> str:
    return f"{wall.url}/rows/posts"


def write(url: str, number: int, writers_left: list[int]) -> None:
    """Transactions that overlap and end late, some by a rollback."""
    chosen = random.Random(number)
    lock_free = sql.dialect_of(url) != "sqlite"
    for at in range(TRANSACTIONS):
        with sql.Transaction(url) as transaction:
            for row in range(chosen.randint(1, 4)):
                transaction.insert_post(f"{number}/{at}/{row}")
            if lock_free:
                time.sleep(chosen.uniform(0, 0.05))
            (transaction.commit if chosen.random() < 0.8 else transaction.rollback)()
    writers_left.remove(number)


def test_walks_bring_each_row_once_while_transactions_commit_late(
    start_wall: Wall, database_url: str
) -> None:
    wall = start_wall(database_url, {"ROWCAST_HISTORY": "50", "ROWCAST_LOG_CAPACITY": "60"})
    sql.insert_posts(database_url, [f"old {n}" for n in range(OLD_ROWS)])
    left = [*range(WRITERS)]
    writers = [threading.Thread(target=write, args=(database_url, n, left)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    readers = [RowsReader(rows_url(wall), "0", how) for how in ("limit=7", "limit=100&wait=1")]
    while left:
        for reader in readers:
            reader.ask()
    for writer in writers:
        writer.join()
    ids = sql.post_ids(database_url)
    end_s = time.monotonic() + SOON_S
    for reader in readers:
        while len(reader.rows) < len(ids):
            assert time.monotonic() < end_s, f"{len(reader.rows)} rows at {reader.after}"
            reader.ask()
        assert sorted(reader.ids) == ids
        assert reader.resets == []
        assert {row["id"]: row["body"] for row in reader.rows} == dict(
            sql.execute(database_url, "SELECT id, body FROM posts")
        )


def test_a_walk_goes_on_at_any_worker(start_wall: Wall, sqlite_url: str) -> None:
    wall = start_wall(sqlite_url, workers=2)
    sql.insert_posts(sqlite_url, [f"{n}" for n in range(30)])
    reader = RowsReader(rows_url(wall), "0", "limit=4&wait=5")
    end_s = time.monotonic() + SOON_S
    while len(reader.rows) < 30:
        assert time.monotonic() < end_s, f"{reader.ids} at {reader.after}"
        with wall.only_worker(wall.worker_pids()[len(reader.rows) // 4 % 2]):
            reader.ask()
    assert reader.ids == [*range(1, 31)]
    assert reader.resets == []


# -- waiting ------------------------------------------------------------------------------------


class Waiting:
    """Requests that wait, each read over a plain socket."""

    def __init__(self, wall: Gunicorn, open_stream: OpenStream) -> None:
        self.wall, self._open = wall, open_stream
        self.nobody_waits()
        self.after = RowsReader(rows_url(wall), "now").ask().json["next"]

    def ask(self, **options: str) -> Stream:
        before = self.wall.metric("rowcast_streams_open")
        stream = self._open(f"{rows_url(self.wall)}?after={self.after}&wait=50", **options)
        wait_until(
            lambda: self.wall.metric("rowcast_streams_open") > before, SOON_S, "that it waits"
        )
        return stream

    def nobody_waits(self) -> None:
        wait_until(lambda: not self.wall.metric("rowcast_streams_open"), SOON_S, "nobody waits")


def answer_of(stream: Stream) -> dict[str, object]:
    stream.wait_for_end()
    assert stream.status == 200, f"{stream}"
    found: dict[str, object] = json.loads(stream.raw)
    return found


def test_who_waits_is_answered_when_a_row_comes_and_can_ask_again(
    any_wall: Gunicorn, open_stream: OpenStream
) -> None:
    waiting = Waiting(any_wall, open_stream)
    streams = [waiting.ask() for _ in range(5)]
    row_id = any_wall.post("news")
    answers = [answer_of(stream) for stream in streams]
    assert [row["id"] for row in answers[0]["rows"]] == [row_id]  # type: ignore[attr-defined]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["live"] is True
    waiting.nobody_waits()


@pytest.mark.parametrize("leave", [Stream.close, Stream.reset], ids=["FIN", "RST"])
def test_who_leaves_gives_its_place_back_at_once(
    any_wall: Gunicorn, open_stream: OpenStream, leave: Callable[[Stream], None]
) -> None:
    waiting = Waiting(any_wall, open_stream)
    leave(waiting.ask())
    waiting.nobody_waits()


def test_who_only_stops_sending_is_answered(any_wall: Gunicorn, open_stream: OpenStream) -> None:
    waiting = Waiting(any_wall, open_stream)
    stream = waiting.ask()
    stream.half_close()
    assert answer_of(stream)["rows"] == []


def test_a_request_sent_behind_one_that_waits_is_answered_after_it(
    any_wall: Gunicorn, open_stream: OpenStream
) -> None:
    stream = Waiting(any_wall, open_stream).ask()
    stream.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    row_id = any_wall.post("news")
    while not stream.eof:
        stream.read(SOON_S)
    first, _, second = stream.raw.partition(b"\n")
    assert json.loads(first)["rows"][0]["id"] == row_id
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert second.endswith(b"ok\n")


def test_who_waits_is_answered_when_the_server_ends(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, WAITS_FOR_STREAMS)
    stream = Waiting(wall, open_stream).ask()
    wall.terminate()
    answer = answer_of(stream)
    assert (answer["rows"], answer["live"]) == ([], True)
    text = wall.log()
    assert "Traceback" not in text, text


def test_lines_come_as_they_are_committed(any_wall: Gunicorn, open_stream: OpenStream) -> None:
    url = f"{any_wall.stream_url}/posts"
    with open_stream(url, headers={"Accept": "application/x-ndjson"}) as stream:
        stream.wait_for(lambda it: b'{"live":true' in it.raw, what="live")
        row_id = any_wall.post("a line")
        stream.wait_for(lambda it: b'{"row":{"id":%d,' % row_id in it.raw, what="the row")
        kinds = [next(iter(json.loads(line))) for line in stream.raw.splitlines() if line]
    assert kinds == ["retry", "start", "live", "row"]
    assert stream.headers["content-type"] == "application/x-ndjson"
