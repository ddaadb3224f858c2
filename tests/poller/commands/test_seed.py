"""`rowcast seed`: posts for the wall's table, which is made here as the wall makes it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from click.testing import Result

from models.post import AUTHOR_LENGTH, BODY_LENGTH, create_tables
from poller import Database
from poller.commands.posts import posts
from tests.harness import sql

Run = Callable[..., Result]


@pytest.fixture
def wall(database_url: str) -> str:
    """A database with the wall's table."""
    database = Database(database_url)
    create_tables(database)
    database.close()
    return database_url


def test_posts_are_written_with_a_progress_bar(wall: str, rowcast: Run) -> None:
    ended = rowcast("seed", wall, "--count", 7, "--rate", 10_000)
    assert ended.exit_code == 0, ended.output
    assert "7 posts, 10000 a second" in ended.output
    assert len(sql.post_ids(wall)) == 7
    assert all(text for row in sql.execute(wall, "SELECT author, body FROM posts") for text in row)


def test_posts_fit_the_wall_and_differ() -> None:
    made = [*posts(2000, random.Random(1))]
    assert max(len(post["author"]) for post in made) <= AUTHOR_LENGTH
    assert max(len(post["body"]) for post in made) <= BODY_LENGTH
    assert not any("{" in post["body"] for post in made)
    assert len({post["body"] for post in made}) > 500


def test_the_rate_is_kept(sqlite_url: str, rowcast: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own: 5 posts at 2 a second are 0, 0.5, … 2 s after the first."""
    database = Database(sqlite_url)
    create_tables(database)
    database.close()
    now = [0.0]
    monkeypatch.setattr("poller.commands.seed.clock", lambda: now[0])
    monkeypatch.setattr(
        "poller.commands.seed.pause", lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    assert rowcast("seed", sqlite_url, "--count", 5, "--rate", 2).exit_code == 0
    assert now == [2.0]


def test_a_database_without_the_wall_is_told_how_to_get_it(database_url: str, rowcast: Run) -> None:
    sql.execute(database_url, "CREATE TABLE notes (id INTEGER)")
    without = rowcast("seed", database_url)
    assert (without.exit_code, "there is no table posts" in without.stderr) == (2, True)
    sql.execute(database_url, "CREATE TABLE posts (id INTEGER)")
    other = rowcast("seed", database_url)
    assert (other.exit_code, "posts has no column author" in other.stderr) == (2, True)


def test_a_file_that_is_missing_is_not_made(sqlite_url: str, rowcast: Run) -> None:
    ended = rowcast("seed", sqlite_url)
    assert (ended.exit_code, "there is no file" in ended.stderr) == (2, True)
