"""The posts table on each database: what any tool may insert, and what the queries give back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from models import Post, post
from models.post import create_tables
from models.types import UTCDateTime
from poller.reading.database import Database
from tests.harness.sql import execute, insert_posts


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    create_tables(database)
    yield database
    database.dispose()


def test_a_bare_insert_is_a_whole_post(database: Database, database_url: str) -> None:
    insert_posts(database_url, ["from outside ☕👍"], author="psql")
    (row,) = post.newest(database, 10)
    assert (row.author, row.body) == ("psql", "from outside ☕👍")
    assert row.created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(seconds=10)


def test_the_database_keeps_parts_of_a_second(database: Database, database_url: str) -> None:
    for _ in range(3):  # one of three moments may be a whole second by chance
        insert_posts(database_url, ["x"])
    assert any(row.created_at.microsecond for row in post.newest(database, 10))


def test_add_returns_what_the_database_gave(database: Database) -> None:
    added = post.add(database, "Ada", "Hello")
    assert post.get(database, added.id) == added
    assert added.readable


def test_pages_go_from_new_to_old_without_overlap(database: Database, database_url: str) -> None:
    insert_posts(database_url, [str(n) for n in range(7)])
    first = post.newest(database, 3)
    second = post.before(database, first[-1].id, 3)
    assert [row.body for row in first + second] == ["6", "5", "4", "3", "2", "1"]


def test_a_post_that_is_not_there_is_none(database: Database) -> None:
    assert post.get(database, 4711) is None


@pytest.mark.parametrize(
    ("author", "body"), [("a" * 81, "b"), ("a", "b" * 2001), ("", "b"), ("a", "")]
)
def test_the_database_checks_lengths_itself(database: Database, author: str, body: str) -> None:
    with pytest.raises(SQLAlchemyError):
        post.add(database, author, body)


def test_the_longest_post_fits_in_any_script(database: Database) -> None:
    added = post.add(database, "𝔸" * 80, "👍" * 2000)
    assert (len(added.author), len(added.body)) == (80, 2000)


def test_the_id_of_a_deleted_post_is_not_given_again(database: Database, database_url: str) -> None:
    first = post.add(database, "a", "b")
    execute(database_url, "DELETE FROM posts")
    assert post.add(database, "a", "b").id > first.id


def test_several_workers_may_make_the_table_at_once(database_url: str) -> None:
    def make(_number: int) -> None:
        database = Database(database_url)
        create_tables(database)
        create_tables(database)
        database.dispose()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(make, range(6)))
    insert_posts(database_url, ["it is there"])


def test_making_the_table_fails_aloud_where_it_cannot(sqlite_url: str) -> None:
    database = Database("sqlite:////proc/nowhere/rowcast.db")
    with pytest.raises(SQLAlchemyError):
        create_tables(database)
    database.dispose()


@pytest.mark.parametrize("bad", ["CAST(x'ff41' AS TEXT)", "x'00ff'"])
def test_one_undecodable_row_leaves_the_others_readable_on_sqlite(
    sqlite_url: str, bad: str
) -> None:
    database = Database(sqlite_url)
    create_tables(database)
    insert_posts(sqlite_url, ["before"])
    execute(sqlite_url, f"INSERT INTO posts (author, body) VALUES ('x', {bad})")
    insert_posts(sqlite_url, ["after"])
    rows = post.newest(database, 10)
    assert [(row.body, row.readable) for row in rows] == [
        ("after", True),
        ("", False),
        ("before", True),
    ]
    database.dispose()


def test_an_infinite_date_leaves_the_others_readable_on_postgresql(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    create_tables(database)
    insert_posts(postgresql_url, ["good"])
    execute(
        postgresql_url,
        "INSERT INTO posts (author, body, created_at) VALUES ('x', 'y', 'infinity')",
    )
    assert [row.readable for row in post.newest(database, 10)] == [False, True]
    database.dispose()


def test_a_moment_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the subject
    with pytest.raises(ValueError, match="time zone"):
        UTCDateTime().process_bind_param(naive, sqlite.dialect())


def test_a_moment_may_be_given_and_compared(database: Database) -> None:
    added = post.add(database, "a", "b")
    later = select(Post.id).where(Post.created_at < datetime.now(UTC) + timedelta(hours=1))
    assert database.read(lambda connection: connection.scalars(later).all()) == [added.id]


# -- a draft that is sent again -----------------------------------------------------------------


def test_a_draft_that_is_sent_again_stands_once(database: Database) -> None:
    first = post.add_once(database, "Ada", "Hello", "form", "d" * 64)
    again = post.add_once(database, "Ada", "Hello", "form", "d" * 64)
    assert first.row is not None
    assert again == post.Taken(first.row, before=True)
    assert not first.before
    other = post.add_once(database, "Ada", "Hello", "form", "e" * 64)
    assert other.row is not None
    assert other.row.id > first.row.id
    edited = post.edit(database, first.row.id, "Hello, wall")
    assert post.add_once(database, "Ada", "Hello", "form", "d" * 64).row == edited
    post.delete(database, first.row.id)
    assert post.add_once(database, "Ada", "Hello", "form", "d" * 64) == post.Taken(None, True)


def test_a_draft_that_is_sent_at_once_by_several_stands_once(database: Database) -> None:
    """As by two workers: each on a connection of its own."""
    drafts = [f"{number:064}" for number in range(10)]
    with ThreadPoolExecutor(6) as pool:
        taken = pool.map(
            lambda draft: post.add_once(database, "Ada", "Hello", "form", draft), drafts * 6
        )
        ids = [
            (draft, one.row and one.row.id) for draft, one in zip(drafts * 6, taken, strict=True)
        ]
    assert len(set(ids)) == len(drafts)
    assert None not in {post_id for _, post_id in ids}


def test_what_is_wrong_with_a_post_is_not_taken_for_a_draft(database: Database) -> None:
    with pytest.raises(SQLAlchemyError):
        post.add_once(database, "a" * 81, "Hello", "form", "f" * 64)
