"""The Flask extension: routes, lifecycle, several applications. No server: WSGI called directly."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import gevent
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from poller import Notifier
from poller.feed import Feed
from poller.reading.database import Database
from poller.runtime.settings import Settings
from poller.serving.drain import drain_retry_ms
from poller.web.current import EXTENSION, service_of
from tests.harness import sql
from tests.harness.greenlets import unpatched, until
from tests.harness.logged import logged

TABLE = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"
BOUND_S = 60

MakeApp = Callable[..., Flask]


@pytest.fixture(autouse=True)
def feeds_start() -> Iterator[None]:
    with unpatched():
        yield


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    sql.execute(sqlite_url, TABLE.format("notes"))
    sql.execute(sqlite_url, TABLE.format("alarms"))
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def make_app(database: Database) -> Iterator[MakeApp]:
    apps = []

    def make(*tables: str, prefix: str | None = None, **changes: object) -> Flask:
        extension, app = Notifier(authorize="public"), Flask("test")
        tables = tables or ("notes", "alarms")
        for table in tables:
            extension.watch(table, columns=["id", "body"])
        values = {"poll_interval_s": 0.02, "idle_interval_s": 0.02, "heartbeat_s": 0.1, **changes}
        settings = Settings.model_validate(values)
        extension.init_app(
            app,
            database=database,
            settings=settings,
            url_prefix=prefix,
            default_feed=tables[0],
            metrics="public",
            health="public",
        )
        app.extensions["test.notifier"] = extension
        apps.append(app)
        return app

    yield make
    for app in apps:
        for feed in feeds(app).values():
            feed.close()


def feeds(app: Flask) -> dict[str, Feed]:
    found: dict[str, Feed] = app.extensions[EXTENSION].feeds
    return found


def ready(app: Flask) -> FlaskClient:
    client = app.test_client()
    until(lambda: client.get("/readyz").status_code == 200, "ready feeds")
    return client


def take(app: Flask, path: str, pattern: str, **headers: str) -> str:
    """What a stream brings until `pattern` is in it; the client then goes away."""
    response = app.test_client().get(path, headers=headers)
    text = ""
    with gevent.Timeout(BOUND_S):
        for chunk in response.iter_encoded():
            text += chunk.decode()
            if re.search(pattern, text):
                break
    response.close()
    return text


def insert(database: Database, table: str = "notes", body: str = "hi") -> None:
    database.write(lambda c: c.exec_driver_sql(f"INSERT INTO {table} (body) VALUES ('{body}')"))


def test_each_table_has_its_name_and_the_default_one_is_the_stream(
    make_app: MakeApp, database: Database
) -> None:
    app = make_app()
    insert(database, "notes", "a note")
    insert(database, "alarms", "an alarm")
    ready(app)
    assert "a note" in take(app, "/stream?last_event_id=0", r'data: \{"id".*\n')
    assert "a note" in take(app, "/stream/notes?last_event_id=0", r'data: \{"id".*\n')
    assert "an alarm" in take(app, "/stream/alarms?last_event_id=0", r'data: \{"id".*\n')


def test_an_unknown_table_is_404(make_app: MakeApp) -> None:
    client = make_app().test_client()
    assert client.get("/stream/passwords").status_code == 404
    assert client.get("/stream/sqlite_master").status_code == 404


def test_the_header_wins_over_the_query(make_app: MakeApp, database: Database) -> None:
    app = make_app()
    insert(database)
    ready(app)
    got = take(app, "/stream?last_event_id=reload", "data: ", **{"Last-Event-ID": "0"})
    assert "reset" not in got


@pytest.mark.parametrize("query", ["\xff", "lastEventId=%ff", "last_event_id=abcd.1%0a", "%00=%"])
def test_a_query_that_nobody_can_read_is_no_fault_of_the_server(
    make_app: MakeApp, query: str
) -> None:
    app = make_app()
    ready(app)
    environ = {"QUERY_STRING": query}  # as a server hands it on; a client would have quoted it
    answer = app.test_client().get("/stream", environ_overrides=environ)
    assert answer.status_code == 200
    answer.close()


def test_a_proxy_that_the_application_was_not_told_of_is_named_in_the_log(
    make_app: MakeApp,
) -> None:
    app = make_app()
    forwarded = {"X-Forwarded-For": "198.51.100.7"}
    with logged() as said:
        for _ in range(2):
            app.test_client().get("/stream", headers=forwarded).close()
    assert len([line for line in said if "proxy that is not configured" in line["event"]]) == 1
    believed = make_app()
    believed.wsgi_app = ProxyFix(believed.wsgi_app)  # type: ignore[method-assign]
    with logged() as said:
        believed.test_client().get("/stream", headers=forwarded).close()
    assert not [line for line in said if "proxy" in line["event"]]


def test_the_headers_of_a_stream(
    make_app: MakeApp,
) -> None:
    app = make_app()
    response = app.test_client().get("/stream")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Connection" not in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers
    response.close()


def test_a_stream_is_counted_once_though_it_never_started(
    make_app: MakeApp,
) -> None:
    app = make_app()
    client = app.test_client()
    feed = feeds(app)["notes"]
    response = client.get("/stream")
    assert len(feed.streams) == 1
    response.close()
    response.close()
    assert len(feed.streams) == 0


def test_head_and_options_open_no_stream(make_app: MakeApp) -> None:
    app = make_app()
    client = app.test_client()
    head = client.head("/stream")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    assert "GET" in client.options("/stream").headers["Allow"]
    assert client.post("/stream").status_code == 405
    assert len(feeds(app)["notes"].streams) == 0


def test_over_capacity_the_answer_is_200_a_retry_and_the_end(make_app: MakeApp) -> None:
    app = make_app(max_streams=2)
    client = app.test_client()
    held = [client.get("/stream"), client.get("/stream/alarms")]
    rejected = client.get("/stream")
    assert rejected.status_code == 200
    assert re.fullmatch(rb"retry: \d{4,5}\n", rejected.data)
    for response in held:
        response.close()
    assert b"retry: 2000" in next(client.get("/stream").iter_encoded())


def test_a_closed_feed_ends_its_streams_and_answers_204(make_app: MakeApp) -> None:
    app = make_app()
    ready(app)
    response = app.test_client().get("/stream")
    chunks = response.iter_encoded()
    assert list(islice(chunks, 2))[1].startswith(b"event: start")
    app.extensions["test.notifier"].close("notes", app=app)
    with gevent.Timeout(BOUND_S):
        assert list(chunks) == []
    response.close()
    for path in ("/stream", "/stream/notes"):
        assert app.test_client().get(path).status_code == 204
        assert app.test_client().head(path).status_code == 204
    assert app.test_client().get("/readyz").status_code == 200
    assert b"retry: 2000" in next(app.test_client().get("/stream/alarms").iter_encoded())


def test_drain_ends_each_stream_with_its_own_retry_time(
    make_app: MakeApp,
) -> None:
    app = make_app()
    ready(app)
    client = app.test_client()
    responses = [client.get("/stream") for _ in range(20)]
    ends: list[bytes] = []

    def read(response: "object") -> None:
        ends.append([*response.iter_encoded()][-1])  # type: ignore[attr-defined]
        response.close()  # type: ignore[attr-defined]

    readers = [gevent.spawn(read, response) for response in responses]
    gevent.sleep(0)
    with gevent.Timeout(BOUND_S):
        service_of(app).drain()
        gevent.joinall(readers, raise_error=True)
    assert all(re.fullmatch(rb"retry: \d+\n", end) for end in ends)
    assert len(set(ends)) > 10
    # A client that comes back on a kept connection must not wait as if this worker were full.
    turned_away = [re.fullmatch(rb"retry: (\d+)\n", client.get("/stream").data) for _ in ends]
    assert all(told and int(told[1]) <= 2000 for told in turned_away)
    assert client.get("/readyz").status_code == 503


def test_a_lone_reader_is_back_within_two_seconds() -> None:
    assert {1000 <= drain_retry_ms(1) <= 2002 for _ in range(1000)} == {True}


@pytest.mark.parametrize("streams", [100, 5_000, 20_000])
def test_streams_that_end_together_come_back_one_after_the_other(streams: int) -> None:
    told = [drain_retry_ms(streams) for _ in range(streams)]
    assert min(told) >= 1000
    assert max(told) <= 2000 + 2 * streams
    seconds = Counter(ms // 1000 for ms in told)
    assert max(seconds.values()) < 650  # 500 on average, with a standard deviation of 22
    assert len(seconds) >= (1000 + 2 * streams) // 1000
    assert len(set(told)) > streams / 2, "not all at the same moments"


def test_the_window_is_that_of_the_streams_of_all_feeds(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, asked = make_app(), list[int]()

    def noted(streams: int) -> int:
        asked.append(streams)
        return 5

    monkeypatch.setattr("poller.serving.streams.drain_retry_ms", noted)
    responses = [app.test_client().get(path) for path in ("/stream", "/stream", "/stream/alarms")]
    service_of(app).drain()
    assert asked == [3, 3, 3]
    for response in responses:
        response.close()


def test_health_says_that_the_process_lives_whatever_the_database_does(
    make_app: MakeApp, database: Database
) -> None:
    app = make_app("absent")
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    until(lambda: "no table absent" in client.get("/readyz").text, "what is missing")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["ready"] is False


def test_a_table_that_comes_later_is_found(make_app: MakeApp, database: Database) -> None:
    app = make_app("late")
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    database.write(lambda c: c.exec_driver_sql(TABLE.format("late")))
    ready(app)


def test_readyz_names_no_sql_path_or_password(tmp_path: "object") -> None:
    app, extension = Flask("test"), Notifier()
    extension.watch("notes", columns=["id"], authorize="public")
    database = Database(f"sqlite:///{tmp_path}/secret-folder/missing/db.sqlite")
    extension.init_app(app, database=database, settings=Settings(), health="public")
    client = app.test_client()
    until(lambda: "not been read yet" not in client.get("/readyz").text, "a failed poll")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert not re.search("secret-folder|SELECT|sqlite3", answer.text)
    extension.feed(app=app).close()
    database.close()


def test_metrics_are_prometheus_text(make_app: MakeApp, database: Database) -> None:
    app = make_app()
    insert(database)
    ready(app)
    take(app, "/stream?last_event_id=0", "data: ")
    text = app.test_client().get("/metrics").text
    for name in ("streams_open", "rows_delivered_total", "polls_total", "poll_seconds_bucket",
                 "poll_failures_total", "open_gaps", "resumes_total"):  # fmt: skip
        assert f"rowcast_{name}{{" in text or f"rowcast_{name} " in text, name


def test_two_applications_in_one_process_share_nothing(
    make_app: MakeApp, database: Database
) -> None:
    one, other = make_app("notes"), make_app("alarms", prefix="/live")
    assert one.test_client().get("/stream/alarms").status_code == 404
    assert other.test_client().get("/stream").status_code == 404
    response = other.test_client().get("/live/stream")
    assert len(feeds(one)["notes"].streams) == 0
    assert len(feeds(other)["alarms"].streams) == 1
    response.close()


def test_nothing_is_polled_before_the_first_request(make_app: MakeApp) -> None:
    app = make_app()
    assert not feeds(app)["notes"].poller.started
    app.test_client().get("/healthz")
    assert feeds(app)["notes"].poller.started


def test_misuse_is_named() -> None:
    extension, app = Notifier(), Flask("test")
    with pytest.raises(RuntimeError, match="call watch"):
        extension.init_app(app)
    extension.watch("notes", columns=["id"], authorize="public")
    with pytest.raises(ValueError, match="give this one name="):
        extension.watch("other.notes", columns=["id"])
    with pytest.raises(ValueError, match="part of a URL"):
        extension.watch("notes", name="a/b", columns=["id"])
    with pytest.raises(RuntimeError, match="call init_app"):
        extension.feed("notes", app=app)
    extension.init_app(app, database=Database("sqlite:///x.db"), settings=Settings())
    with pytest.raises(RuntimeError, match="already"):
        extension.init_app(app, database=Database("sqlite:///x.db"), settings=Settings())


def test_a_page_token_holds_what_the_page_shows_and_nothing_pending(
    make_app: MakeApp, database: Database
) -> None:
    app = make_app()
    insert(database)
    ready(app)
    feed = feeds(app)["notes"]
    before = feed.cursor
    assert before is not None
    assert feed.page_token(before, [1]) == f"{before.epoch}.1"
    assert feed.page_token(before, [3, 1]) == f"{before.epoch}.3!1,1"
    assert feed.page_token(None, [1]) == ""
