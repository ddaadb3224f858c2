"""The first poll of a table, made before anything else is done with it: what is wrong with the
command, or with the table, is said at once and not waited for."""

from __future__ import annotations

from poller.commands.target import NotDone
from poller.doctor import diagnose, why
from poller.feed import Feed
from poller.reading.description import TableError
from poller.runtime.settings import Settings


def poll_first(feed: Feed, url: str, settings: Settings) -> None:
    """Poll `feed` once, whose database is at `url`. Raises NotDone if the table cannot be watched,
    with what to do about it, or if the database cannot be queried."""
    watch = feed.watch
    try:
        feed.poller.poll()
    except TableError as error:
        named = watch.key, watch.columns, watch.version, watch.deleted
        report = diagnose(url, watch.source, settings, *named)
        told = [f"{watch.source} cannot be watched: {report.problem or error}", *report.way_out]
        raise NotDone("\n".join(told)) from None
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        raise NotDone(f"the database cannot be queried: {why(error)}") from None
