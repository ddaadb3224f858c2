"""The helper for an application's own tests, tried as such tests use it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, abort, session

from poller import Database, Notifier, Settings, TableError, testing
from tests.harness import sql

Insert = Callable[[str], None]


@pytest.fixture
def insert(database_url: str) -> Insert:
    """insert(body): commits a row of `notes`, as another program would."""
    key = {
        "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "postgresql": "bigserial PRIMARY KEY",
        "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY",
    }[sql.dialect_of(database_url)]
    sql.execute(database_url, f"CREATE TABLE notes (id {key}, body varchar(99))")

    def commit(body: str) -> None:
        sql.execute(database_url, "INSERT INTO notes (body) VALUES (%s)", [body])

    return commit


@pytest.fixture
def app(database_url: str) -> Flask:
    app, notifier = Flask("test"), Notifier()
    app.secret_key = "for tests"
    notifier.watch("notes", columns=["id", "body"], authorize="public")
    settings = Settings(batch_rows=3)
    notifier.init_app(app, database=Database(database_url), settings=settings, url_prefix="/live")
    return app


def test_a_row_reaches_the_stream_at_the_next_poll(app: Flask, insert: Insert) -> None:
    insert("before")
    with testing.feed(app, "notes") as feed:
        assert [frame.event for frame in feed.frames()] == ["start", "live"]
        insert("hello")
        assert feed.rows() == []
        feed.poll()
        assert feed.rows() == [{"id": 2, "body": "hello"}]
        assert feed.frames() == [], "each is told once"


def test_one_poll_reads_all_that_was_committed(app: Flask, insert: Insert) -> None:
    with testing.feed(app) as feed:
        for number in range(10):
            insert(str(number))
        feed.poll()
        assert [row["body"] for row in feed.rows()] == [str(number) for number in range(10)]


def test_a_stream_that_comes_back_gets_what_it_lacks(app: Flask, insert: Insert) -> None:
    with testing.feed(app, "notes") as feed:
        insert("seen")
        feed.poll()
        feed.frames()
        insert("missed")
        feed.poll()
        again = feed.open(feed.stream.last_event_id)
        assert [row["body"] for row in again.rows()] == ["missed"]
        assert [row["body"] for row in feed.open("0").rows()] == ["seen", "missed"]


def test_a_reset_is_a_frame(app: Flask, insert: Insert) -> None:
    with testing.feed(app, "notes") as feed:
        frames = feed.open("rubbish").frames()
        (reset,) = [frame for frame in frames if frame.event == "reset"]
        assert reset.json == {"reason": "malformed-id"}


def test_a_feed_can_be_driven_again(app: Flask, insert: Insert) -> None:
    for _ in range(2):
        with testing.feed(app, "notes") as feed:
            insert("again")
            feed.poll()
            assert len(feed.rows()) == 1


def test_the_applications_own_hooks_decide(app: Flask, insert: Insert) -> None:
    @app.before_request
    def only_members() -> None:
        if "member" not in session:
            abort(401)

    member = app.test_client()
    with member.session_transaction() as cookie:
        cookie["member"] = True
    with testing.feed(app, "notes") as feed:
        assert (feed.stream.status_code, feed.frames()) == (401, [])
        inside = feed.open(client=member)
        insert("secret")
        feed.poll()
        assert [row["body"] for row in inside.rows()] == ["secret"]
        assert feed.rows() == []
    with testing.feed(app, "notes", client=member) as feed:
        assert feed.stream.status_code == 200


def test_streams_are_closed_at_the_end(app: Flask, insert: Insert) -> None:
    service = app.extensions["rowcast"]
    with testing.feed(app, "notes") as feed:
        feed.open().close()
        feed.open()
        assert service.stream_count == 2
    assert service.stream_count == 0
    assert not service.by_hand
    assert app.test_client().get("/live/stream/notes").status_code == 503, (
        "refused, rather than endless"
    )


def test_a_table_that_cannot_be_watched_is_an_error(app: Flask, database_url: str) -> None:
    with pytest.raises(TableError, match="there is no table notes"), testing.feed(app, "notes"):
        pass
    app.extensions["rowcast"].feed().database.close()


def test_an_unknown_feed_is_an_error(app: Flask) -> None:
    with pytest.raises(KeyError), testing.feed(app, "orders"):
        pass


def test_frames_are_told_apart_as_the_standard_has_it() -> None:
    text = (
        "retry: 2000\n: comment\nevent: start\ndata: {}\nid: a.1\n\n:\n"
        "data: one\ndata: two\nid: a.2\n\nid: a.3\n\nevent: reset\ndata: {}\n\n"
    )
    assert [(one.event, one.data, one.id) for one in testing._frames(text, "")] == [
        ("start", "{}", "a.1"),
        ("message", "one\ntwo", "a.2"),
        ("reset", "{}", "a.3"),
    ]
