"""The feed for feed readers: what a reader makes of it, and the rules of RFC 4287."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.post import create_tables
from tests.harness.sql import execute, insert_posts
from wall import create_app
from wall.settings import WallSettings

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def app(sqlite_url: str) -> Iterator[Flask]:
    given = {"database_url": sqlite_url, "secret_key": "k" * 20, "title": "Team & co"}
    app = create_app(WallSettings.model_validate(given))
    create_tables(app.extensions["wall"].database)
    yield app
    app.extensions["wall"].notifier.stop(app)
    app.extensions["wall"].database.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def read(client: FlaskClient) -> Any:
    reply = client.get("/feed.atom")
    assert reply.content_type == "application/atom+xml; charset=utf-8"
    feed = feedparser.parse(reply.data)
    assert not feed.bozo, feed.get("bozo_exception")
    assert feed.version == "atom10"
    check_rules(ET.fromstring(reply.data))
    return feed


def check_rules(feed: ET.Element) -> None:
    """4.1.1 and 4.1.2: what there has to be, and how often."""
    assert feed.tag == f"{ATOM}feed"
    for parent in [feed, *feed.findall(f"{ATOM}entry")]:
        for name in ("id", "title", "updated"):
            assert len(parent.findall(ATOM + name)) == 1
        assert parent.findtext(f"{ATOM}id")
        assert [one.get("rel") for one in parent.findall(f"{ATOM}link")].count("alternate") == 1
    for entry in feed.findall(f"{ATOM}entry"):
        assert len(entry.findall(f"{ATOM}author/{ATOM}name")) == 1
        assert len(entry.findall(f"{ATOM}content")) <= 1
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")]
    assert len(ids) == len(set(ids))


def test_a_reader_gets_the_newest_posts(client: FlaskClient, sqlite_url: str) -> None:
    insert_posts(sqlite_url, [f"post {n}\nand more" for n in range(60)], author="Zoë <b>")
    feed = read(client)
    assert (feed.feed.title, len(feed.entries)) == ("Team & co", 50)
    first = feed.entries[0]
    assert (first.title, first.author) == ("post 59", "Zoë <b>")
    assert first.content[0].value == "post 59\nand more"
    assert first.link == "http://localhost/posts/60"
    assert first.id == first.link
    assert '<link rel="alternate" type="application/atom+xml"' in client.get("/").text


def test_an_empty_wall_has_a_feed(client: FlaskClient) -> None:
    assert read(client).entries == []


def test_an_edited_post_is_updated_and_a_removed_one_is_gone(
    client: FlaskClient, sqlite_url: str
) -> None:
    insert_posts(sqlite_url, ["stays", "is edited", "goes"])
    execute(sqlite_url, "UPDATE posts SET created_at = '2026-01-01 00:00:00.000'")
    execute(sqlite_url, "UPDATE posts SET body = 'was edited' WHERE id = 2")
    execute(sqlite_url, "UPDATE posts SET deleted_at = created_at WHERE id = 3")
    feed = read(client)
    assert [entry.title for entry in feed.entries] == ["was edited", "stays"]
    edited, stays = feed.entries
    assert stays.updated == stays.published == "2026-01-01T00:00:00Z" == edited.published
    assert feed.feed.updated == edited.updated > stays.updated


def test_whatever_is_in_the_table_the_feed_can_be_read(
    client: FlaskClient, sqlite_url: str
) -> None:
    hostile = [
        "]]></content><script>x</script>",
        "\x01\x08\x0b\x1f\ufffe\uffff control",
        "&amp; &lt; \u2028 👍 \u202e",
        "\n\n  \n",
        "x" * 2000,
    ]
    insert_posts(sqlite_url, hostile, author="\x02")
    execute(sqlite_url, "INSERT INTO posts (author, body) VALUES ('a', CAST(X'ff' AS BLOB))")
    entries = read(client).entries
    assert len(entries) == len(hostile)
    assert entries[0].title == "x" * 79 + "…"
    assert entries[-1].content[0].value == hostile[0]
    assert "\ufffd control" in entries[-2].content[0].value


def test_a_reader_that_has_it_is_told_so(client: FlaskClient, sqlite_url: str) -> None:
    insert_posts(sqlite_url, ["one"])
    tag = {"If-None-Match": client.get("/feed.atom").headers["ETag"]}
    assert client.get("/feed.atom", headers=tag).status_code == 304
    insert_posts(sqlite_url, ["two"])
    assert client.get("/feed.atom", headers=tag).status_code == 200
    execute(sqlite_url, "DROP TABLE posts")
    away = client.get("/feed.atom", headers=tag)
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert "Set-Cookie" not in away.headers
