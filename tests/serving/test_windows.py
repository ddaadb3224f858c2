"""Feeds by window on a real gunicorn: changes, hops, restarts, and what many clients cost."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until
from tests.harness.sse import Event, Stream
from tests.serving.helpers import PATHS, OpenStream

pytestmark = pytest.mark.serving

WINDOW = 5
CLIENTS = 40
RESTS_S = 2.0
ON = [
    ("fanout", "sqlite"),
    ("fanout", "postgresql"),
    ("fanout", "mariadb"),
    ("generator", "sqlite"),
]
Start = Callable[..., Gunicorn]


@pytest.fixture
def url(database_url: str) -> str:
    sql.execute(
        database_url,
        "CREATE TABLE items (id VARCHAR(36) NOT NULL PRIMARY KEY, sort INTEGER NOT NULL, "
        "x INTEGER NOT NULL)",
    )
    for number in range(1, 9):
        sql.execute(database_url, f"INSERT INTO items VALUES ('k{number}', {number}, 0)")
    return database_url


def served(start: Start, url: str, path: str = "fanout", **options: Any) -> Gunicorn:
    env = {
        "DATABASE_URL": url,
        "ROWCAST_POST_RATE": "",
        "WINDOW": str(WINDOW),
        "WINDOW_INTERVAL": "0.1",
        **PATHS[path],
        **options.pop("env", {}),
    }
    return start(env, app="tests.serving.windows_app:app", **options).wait_ready()


class Picture:
    """What a page makes of a stream's events: rows by key."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.taken = 0
        self.last_id = ""

    def take(self, stream: Stream) -> None:
        events = stream.response.parser.events
        for event in events[self.taken :]:
            self._take(event)
        self.taken = len(events)
        self.last_id = stream.last_event_id or self.last_id

    def _take(self, event: Event) -> None:
        if event.type == "message":
            self.rows[event.json["id"]] = event.json["x"]
        elif event.type == "delete":
            self.rows.pop(event.json["id"], None)
        elif event.type == "clear":
            self.rows.clear()


def newest(url: str) -> dict[str, int]:
    query = f"SELECT id, x FROM items ORDER BY sort DESC, id DESC LIMIT {WINDOW}"
    return dict(sql.execute(url, query))


def follow(picture: Picture, stream: Stream, rows: dict[str, int]) -> None:
    def is_level(_: Stream) -> bool:
        picture.take(stream)
        return picture.rows == rows

    stream.wait_for(is_level, what=f"{rows}")


def to_live(picture: Picture, stream: Stream) -> list[Event]:
    """Until it is live; what came before."""
    stream.wait_for(lambda _: stream.of_type("live"), what="that it is live")
    picture.take(stream)
    return [event for event in stream.events if event.type != "comment"]


@contextmanager
def resumed(wall: Gunicorn, picture: Picture, open_stream: OpenStream) -> Iterator[Stream]:
    picture.taken = 0
    with open_stream(f"{wall.url}/stream/items", picture.last_id or None) as stream:
        yield stream


def change_all_kinds(url: str) -> None:
    for statement in (
        "UPDATE items SET x = 7 WHERE id = 'k6'",
        "DELETE FROM items WHERE id = 'k8'",
        "INSERT INTO items VALUES ('new', 9, 1)",
        "UPDATE items SET sort = 10 WHERE id = 'k1'",
        "UPDATE items SET x = 3 WHERE id = 'k5'",
        "UPDATE items SET x = 0 WHERE id = 'k5'",
    ):
        sql.execute(url, statement)


@pytest.mark.parametrize(("path", "database_url"), ON, indirect=["database_url"])
def test_a_page_follows_every_change_at_any_worker_and_through_a_restart(
    path: str, url: str, start_gunicorn: Start, open_stream: OpenStream
) -> None:
    wall, picture = served(start_gunicorn, url, path, workers=2), Picture()
    for pid in wall.worker_pids():
        with wall.only_worker(pid), resumed(wall, picture, open_stream) as stream:
            events = to_live(picture, stream)
            assert (events == []) == bool(pid != wall.worker_pids()[0])
            assert picture.rows == newest(url)
    with resumed(wall, picture, open_stream) as stream:
        change_all_kinds(url)
        follow(picture, stream, newest(url))
    wall.terminate()
    wall.start()
    wall.wait_ready()
    with resumed(wall, picture, open_stream) as stream:
        assert to_live(picture, stream) == []  # nothing was changed
    wall.terminate()
    sql.execute(url, "DELETE FROM items WHERE id IN ('k1', 'new')")  # while none runs
    wall.start()
    wall.wait_ready()
    with resumed(wall, picture, open_stream) as stream:
        follow(picture, stream, newest(url))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_many_clients_cost_one_query_a_look_and_one_encoding(
    url: str, start_gunicorn: Start, open_stream: OpenStream, postgres_server: Postgres
) -> None:
    wall = served(start_gunicorn, url, env={"ROWCAST_MAX_STREAMS_PER_ADDRESS": "0"})
    encoded, looks = wall.metric(ENCODED), wall.metric(LOOKS)
    with postgres_server.count_statements(url) as count:
        streams = [open_stream(f"{wall.url}/stream/items") for _ in range(CLIENTS)]
        for stream in streams:
            assert len(to_live(Picture(), stream)) == 1 + WINDOW
        looks = wall.metric(LOOKS) - looks
    asked = [one for one in count.queries if "items" in one]
    # One is for the rows of a look, one for their versions before it; the next look may have begun.
    assert len(asked) <= 2 * (looks + 1)
    assert wall.metric(ENCODED) == encoded
    change_all_kinds(url)
    for stream in streams:
        follow(Picture(), stream, newest(url))
    assert (
        wall.metric(ENCODED) - encoded <= 6 * 2
    )  # each change once, and an update that was undone


ENCODED = 'rowcast_rows_encoded_total{feed="items"}'
LOOKS = 'rowcast_polls_total{feed="items"}'


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_while_nobody_listens_it_does_not_look(
    url: str, start_gunicorn: Start, open_stream: OpenStream
) -> None:
    wall, picture = served(start_gunicorn, url), Picture()
    with resumed(wall, picture, open_stream) as stream:
        to_live(picture, stream)
    seen = [wall.metric(LOOKS)]
    since = [time.monotonic()]

    def rests() -> bool:
        """For so long that there would have been twenty looks."""
        if (looks := wall.metric(LOOKS)) != seen[-1]:
            seen.append(looks)
            since.append(time.monotonic())
        return time.monotonic() - since[-1] > RESTS_S

    wait_until(rests, 60.0, "that it looks no more")
    assert wall.get("/readyz").status == 200
    sql.execute(url, "UPDATE items SET x = 9 WHERE id = 'k8'")
    with resumed(wall, picture, open_stream) as stream:
        to_live(picture, stream)
        assert picture.rows == newest(url)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_are_asked_for_as_a_page_of_changes(url: str, start_gunicorn: Start) -> None:
    wall = served(start_gunicorn, url)

    def rows(after: str = "", status: int = 200) -> dict[str, Any]:
        reply = wall.get(f"/rows/items{after}")
        assert reply.status == status, reply.text
        told: dict[str, Any] = reply.json
        return told

    first = rows()
    assert [one["id"] for one in first["rows"]] == ["k8", "k7", "k6", "k5", "k4"]
    assert first["live"]
    assert rows(f"?after={first['next']}")["rows"] == []
    sql.execute(url, "DELETE FROM items WHERE id = 'k8'")
    changes = rows(f"?after={first['next']}&wait=20")
    assert changes["rows"] == [{"_deleted": True, "id": "k8"}, {"id": "k3", "x": 0}]
    unknown = rows("?after=0123abcd.5.AAAAAAAAAAA", status=410)
    assert unknown["reset"] == "unknown-rows"
    assert len(rows(f"?after={unknown['next']}")["rows"]) == WINDOW
