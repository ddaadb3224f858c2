"""Several databases, notifiers, applications; settings of an application and of one feed."""

from __future__ import annotations

from unittest import mock

import pytest
import sqlalchemy as sa
from flask import Flask

from poller import Database, Notifier, Settings, SettingsError, testing
from poller.web.current import services_of
from tests.harness import sql

KEYS = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "bigserial PRIMARY KEY",
    "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY",
}
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}


def create(url: str, table: str, body: str = "") -> None:
    key = KEYS[sql.dialect_of(url)]
    sql.execute(url, f"CREATE TABLE {table} (id {key}, body varchar(99))")
    if body:
        insert(url, table, body)


def insert(url: str, table: str, body: str) -> None:
    sql.execute(url, f"INSERT INTO {table} (body) VALUES (%s)", [body])


def watching(name: str, table: str) -> Notifier:
    notifier = Notifier(name)
    notifier.watch(table, columns=["id", "body"], authorize="public")
    return notifier


@pytest.fixture
def other_url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/other.db"


def test_two_notifiers_of_one_application_serve_two_databases(
    sqlite_url: str, other_url: str
) -> None:
    app = Flask("test")
    for name, url, prefix in (("rowcast", sqlite_url, None), ("archive", other_url, "/archive")):
        create(url, "notes")
        watching(name, "notes").init_app(app, database=url, url_prefix=prefix)
    with testing.feed(app) as here, testing.feed(app, notifier="archive") as there:
        insert(sqlite_url, "notes", "here")
        insert(other_url, "notes", "there")
        here.poll()
        there.poll()
        assert here.rows() == [{"id": 1, "body": "here"}]
        assert there.rows() == [{"id": 1, "body": "there"}]
    labels = [feed.label for one in services_of(app).values() for feed in one.feeds.values()]
    assert labels == ["notes", "archive/notes"]


def test_one_notifier_serves_two_applications(sqlite_url: str, other_url: str) -> None:
    notifier = watching("rowcast", "notes")
    apps = Flask("one"), Flask("two")
    for app, url in zip(apps, (sqlite_url, other_url), strict=True):
        create(url, "notes")
        notifier.init_app(app, database=url)
    with testing.feed(apps[0]) as one, testing.feed(apps[1]) as two:
        insert(other_url, "notes", "two")
        one.poll()
        two.poll()
        assert (one.rows(), two.rows()) == ([], [{"id": 1, "body": "two"}])


def test_a_second_notifier_needs_a_name_and_a_prefix(sqlite_url: str) -> None:
    app = Flask("test")
    watching("rowcast", "notes").init_app(app, database=sqlite_url)
    with pytest.raises(RuntimeError, match=r'Notifier\("archive"\)'):
        watching("rowcast", "notes").init_app(app, database=sqlite_url, url_prefix="/b")
    with pytest.raises(RuntimeError, match="give this one an url_prefix"):
        watching("archive", "notes").init_app(app, database=sqlite_url)
    with pytest.raises(ValueError, match="cannot be a notifier's name"):
        Notifier("not a name")


# -- the database -------------------------------------------------------------------------------


def test_an_engine_of_the_application_makes_the_connections(database_url: str) -> None:
    """Its listeners hear of ours, its own pool does not."""
    create(database_url, "notes")
    dialect = sql.dialect_of(database_url)
    url = sa.make_url(database_url).set(drivername=DRIVERS[dialect])
    engine, heard = sa.create_engine(url), list[object]()
    sa.event.listen(engine, "connect", lambda connection, _: heard.append(connection))
    app, notifier = Flask("test"), watching("rowcast", "notes")
    notifier.init_app(app, database=engine)
    with testing.feed(app) as feed:
        insert(database_url, "notes", "hello")
        feed.poll()
        assert feed.rows() == [{"id": 1, "body": "hello"}]
        assert heard
        assert engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    engine.dispose()


def test_what_a_session_needs_is_told_to_an_engines_connections_too(postgresql_url: str) -> None:
    url = sa.make_url(postgresql_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, connect_args={"options": "-c datestyle=German"})
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("SELECT 1"))
    database = Database(engine)
    style = database.read(lambda c: c.exec_driver_sql("SHOW datestyle").scalar_one())
    assert str(style).startswith("ISO")
    prepared = database.read(lambda c: c.connection.dbapi_connection.prepare_threshold)  # type: ignore[union-attr]
    assert prepared is None
    database.close()


def test_an_engine_with_another_driver_is_refused_with_what_to_do() -> None:
    driver = mock.MagicMock(paramstyle="pyformat", __version__="1.31.0")  # it is not installed here
    engine = sa.create_engine("postgresql+pg8000://localhost/shop", module=driver)
    with pytest.raises(ValueError, match="give its URL instead of the engine"):
        Database(engine)


# -- settings -----------------------------------------------------------------------------------


def test_settings_come_from_the_applications_config_first(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWCAST_POLL_INTERVAL", "9")
    monkeypatch.setenv("ROWCAST_BATCH", "7")
    monkeypatch.setenv("FLASK_ROWCAST_POLL_INTERVAL", "0.25")
    monkeypatch.setenv("FLASK_DATABASE_URL", sqlite_url)
    app = Flask("test")
    app.config.from_prefixed_env()
    watching("rowcast", "notes").init_app(app)
    settings: Settings = app.extensions["rowcast"].settings
    assert (settings.poll_interval_s, settings.batch_rows) == (0.25, 7)
    assert settings.database_url == sqlite_url


def test_a_misspelt_name_in_the_config_is_told() -> None:
    app = Flask("test")
    app.config["ROWCAST_POL_INTERVAL"] = 1
    with pytest.raises(SettingsError, match="Did you mean ROWCAST_POLL_INTERVAL"):
        watching("rowcast", "notes").init_app(app)


def test_a_feed_may_have_settings_of_its_own(sqlite_url: str) -> None:
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("notes", columns=["id"], poll_interval_s=0.05, log_capacity_rows=10)
    notifier.watch("alarms", columns=["id"])
    notifier.init_app(app, database=sqlite_url, settings=Settings(poll_interval_s=2))
    feeds = app.extensions["rowcast"].feeds
    create(sqlite_url, "notes")
    create(sqlite_url, "alarms")
    with testing.feed(app, "notes"), testing.feed(app, "alarms"):  # a stream of each is open
        assert feeds["notes"].poller.interval_s == 0.05
        assert feeds["alarms"].poller.interval_s == 2


def test_settings_of_a_feed_are_checked_when_it_is_watched() -> None:
    with pytest.raises(SettingsError, match="batch_rows=0"):
        Notifier().watch("notes", columns=["id"], batch_rows=0)
    with pytest.raises(TypeError, match="max_streams is no setting of one feed"):
        Notifier().watch("notes", columns=["id"], max_streams=3)  # type: ignore[call-arg]


def test_feeds_of_one_database_share_its_connections(sqlite_url: str) -> None:
    app, notifier = Flask("test"), Notifier(authorize="public")
    for table in ("notes", "alarms"):
        notifier.watch(table, columns=["id"])
    notifier.init_app(app, database=sqlite_url)
    notes, alarms = app.extensions["rowcast"].feeds.values()
    assert notes.database is alarms.database
