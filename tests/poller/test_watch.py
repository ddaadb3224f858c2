"""What an author has to say of a feed before anybody gets a row of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from poller import Access, Database, Notifier, Settings, testing
from poller.watch import Watch
from tests.harness import sql


class Base(DeclarativeBase):
    pass


class Account(Base):
    """Two columns may be seen."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    password: Mapped[str]
    name: Mapped[str] = mapped_column(info={"rowcast": True})
    city: Mapped[str] = mapped_column(info={"rowcast": True, "other": 1})


class Unmarked(Base):
    __tablename__ = "unmarked"

    id: Mapped[int] = mapped_column(primary_key=True)
    password: Mapped[str] = mapped_column(info={"rowcast": False})


TABLE = (
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, password TEXT, name TEXT, "
    "city TEXT)"
)
INSERT = "INSERT INTO accounts (password, name, city) VALUES ('secret', 'Ada', 'London')"


def shown(url: str, source: object, columns: Any = None) -> list[dict[str, Any]]:
    """What a stranger gets of the only row."""
    sql.execute(url, TABLE)
    sql.execute(url, INSERT)
    app, notifier = Flask("test"), Notifier()
    notifier.watch(source, columns=columns, authorize="public")
    notifier.init_app(app, database=url)
    with testing.feed(app) as feed:
        return feed.open("0").rows()


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (["name"], {"id": 1, "name": "Ada"}),
        (["city", "id"], {"city": "London", "id": 1}),
        (("name", "city"), {"id": 1, "name": "Ada", "city": "London"}),
    ],
)
def test_the_columns_that_are_said_go_and_the_key_always(
    sqlite_url: str, columns: Any, row: dict[str, object]
) -> None:
    assert shown(sqlite_url, "accounts", columns) == [row]


def test_a_mapped_class_may_mark_its_own(sqlite_url: str) -> None:
    assert shown(sqlite_url, Account) == [{"id": 1, "name": "Ada", "city": "London"}]


def test_a_table_may_mark_its_own_and_a_list_is_stronger(sqlite_url: str) -> None:
    table = sa.Table("accounts", sa.MetaData(), *(one._copy() for one in Account.__table__.columns))
    assert shown(sqlite_url, table, ["city"]) == [{"id": 1, "city": "London"}]


@pytest.mark.parametrize("source", ["accounts", "shop.accounts", Unmarked, Unmarked.__table__])
def test_a_feed_without_columns_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match=r'say which columns of \w+ may be seen.*columns="\*"'):
        Notifier().watch(source, authorize="public")


@pytest.mark.parametrize("columns", [[], (), "name", "id,name", "", ["id", 7], ["id", "id"], b"*"])
def test_what_is_no_list_of_columns_is_refused(columns: Any) -> None:
    with pytest.raises(ValueError, match="columns"):
        Notifier().watch("accounts", columns=columns)


# -- who may read -------------------------------------------------------------------------------


@pytest.fixture
def database(sqlite_url: str) -> Database:
    return Database(sqlite_url)


def watching(**arguments: Any) -> Notifier:
    notifier = Notifier(**{"authorize": None, **arguments})
    notifier.watch("public", columns=["id"], authorize="public")
    notifier.watch("accounts", columns=["id"])
    return notifier


def test_a_feed_of_which_nobody_says_who_may_read_is_refused(database: Database) -> None:
    app = Flask("test")
    with pytest.raises(RuntimeError, match=r'who may read accounts: .*authorize="public"'):
        watching().init_app(app, database=database, settings=Settings())
    assert not app.extensions, "nothing of it is served"
    assert not [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def test_the_notifiers_word_counts_for_the_feeds_that_have_none(database: Database) -> None:
    app = Flask("test")
    watching(authorize=lambda _: True).init_app(app, database=database, settings=Settings())
    feeds = app.extensions["rowcast"].feeds
    assert feeds["public"].watch.authorize == "public"
    assert callable(feeds["accounts"].watch.authorize)


@pytest.mark.parametrize("authorize", ["everybody", "", True, False, 0, ["public"], Access()])
def test_what_says_nothing_of_who_may_read_is_refused(authorize: Any) -> None:
    for say in (
        lambda: Notifier(authorize=authorize),
        lambda: Notifier().watch("accounts", columns=["id"], authorize=authorize),
    ):
        with pytest.raises(ValueError, match='"public"'):
            say()


# -- how far back -------------------------------------------------------------------------------


@pytest.mark.parametrize("replay", [-1, True, "9", 1.5, 1_000_001, timedelta(hours=1)])
def test_what_is_no_number_of_rows_is_refused(replay: Any) -> None:
    with pytest.raises(ValueError, match=r"no number of rows .* cannot be a time"):
        Notifier().watch("accounts", columns=["id"], replay=replay)


def test_the_log_has_room_for_all_that_may_be_read_again() -> None:
    watch = Watch("accounts", "accounts", settings={"history_rows": 5}, replay=20_000)
    assert watch.with_room(Settings()) == {"history_rows": 20_000, "log_capacity_rows": 20_000}
    few = Watch("accounts", "accounts", settings={"history_rows": 5}, replay=0)
    assert few.with_room(Settings()) == {"history_rows": 5, "log_capacity_rows": 10_000}
    assert Watch("accounts", "accounts").with_room(Settings()) == {}


def test_a_stranger_reads_the_newest_rows_and_no_older_one(sqlite_url: str) -> None:
    sql.execute(sqlite_url, TABLE)
    for _ in range(9):
        sql.execute(sqlite_url, INSERT)
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("accounts", columns=["id"], replay=2)
    notifier.init_app(app, database=sqlite_url)
    with testing.feed(app) as feed:
        assert feed.open("0").rows() == [{"id": 8}, {"id": 9}]
        epoch = feed.stream.frames()[0].id.partition(".")[0]
        for asks in (f"{epoch}.3", f"{epoch}.9!1,5"):
            assert [one.event for one in feed.open(asks).frames()] == ["start", "reset", "live"]
        assert feed.open(f"{epoch}.7").rows() == [{"id": 8}, {"id": 9}]


# -- the alias ----------------------------------------------------------------------------------


@pytest.fixture
def serving(database: Database) -> Callable[..., Flask]:
    def init(**arguments: Any) -> Flask:
        app, notifier = Flask("test"), watching(authorize="public")
        notifier.init_app(app, database=database, settings=Settings(), **arguments)
        return app

    return init


def test_there_is_no_stream_without_a_name_unless_it_is_asked_for(
    serving: Callable[..., Flask],
) -> None:
    assert serving().test_client().head("/stream").status_code == 404
    rules = {rule.rule for rule in serving(default_feed="accounts").url_map.iter_rules()}
    assert "/stream" in rules


def test_a_default_feed_that_is_not_watched_is_refused(serving: Callable[..., Flask]) -> None:
    with pytest.raises(ValueError, match=r"default_feed='acounts' is not watched.*accounts"):
        serving(default_feed="acounts")
