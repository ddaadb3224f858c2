"""The tables of the wall. They know SQLAlchemy and the notifier's `Database`, and no Flask."""

from models.post import Post, PostRow

__all__ = ["Post", "PostRow"]
