"""`gunicorn …harness.inserts:app`: the wall with a feed of new posts.

Most of what is tested with a wall around it is true of any feed, and told most simply by rows that
are only inserted. The wall's own feed is by version: `app:app`.
"""

from flask import Flask
from sqlalchemy import inspect

import wall
from models.post import Post, create_tables
from poller import Database, Notifier
from wall.table import Table


def watch_posts(notifier: Notifier, table: Table) -> None:
    """A table that a test has made stays as it is."""
    columns = ["id", "author", "body", "created_at"]
    notifier.watch(Post, columns=columns, authorize="public", prepare=create_if_missing)


def create_if_missing(database: Database) -> None:
    if not database.read(lambda connection: inspect(connection).has_table("posts")):
        create_tables(database)


def create_app() -> Flask:
    wall.watch_posts = watch_posts
    return wall.create_app()


def __getattr__(name: str) -> Flask:
    """`app` is made when gunicorn asks for it, as that of app.py."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = app = create_app()
    return app
