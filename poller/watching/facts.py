"""What the page has to know of a table beside its rows. All of it goes out as JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping

from poller.doctor import place_of
from poller.feed import Feed
from poller.inventory import Listed
from poller.reading import shown
from poller.watching.tables import NEWEST_ROWS, Tables, feed_name


def of_table(tables: Tables, feed: Feed) -> Mapping[str, object]:
    """What does not change until the table is another one. `from` is the token from which its
    stream has the newest rows and all that follow."""
    database, description = tables.database, feed.description
    if description is None or not feed.log.ready:
        return {**_common(tables, feed), "ready": False, "problem": feed.problem()}
    return {
        **_common(tables, feed),
        "ready": True,
        "from": feed.token_below(NEWEST_ROWS),
        "key": description.row_key[0] if description.row_key else description.key.name,
        "keys": [*description.row_key],  # where rows may change
        "columns": [one._asdict() for one in shown.columns(description, database)],
        "came": shown.came_column(description, database),
        "insert": shown.insert(description, database),
        "client": shown.client(database),
    }


def of_now(tables: Tables) -> Mapping[str, object]:
    """What changes: how many rows each table has brought, and whether it is read at all."""
    return {"tables": [_state(feed) for feed in tables.opened]}


def of_listed(one: Listed) -> Mapping[str, object]:
    """A table in the list, with its address."""
    return {**one.as_data(), "address": feed_name(one.name)}


def _common(tables: Tables, feed: Feed) -> Mapping[str, object]:
    url = tables.database.url
    return {
        "name": str(feed.watch.source),
        "feed": feed.name,
        "database": shown.database_name(url),
        "host": url.host or "",
        "place": place_of(shown.as_given(url)),
        "poll_s": tables.settings.poll_interval_s,
        "rows": feed.watch.window or NEWEST_ROWS,
        "choice": not tables.named,
    }


def _state(feed: Feed) -> Mapping[str, object]:
    looked_at = feed.poller.last_poll_at
    return {
        "name": str(feed.watch.source),
        "feed": feed.name,
        "came": feed.log.head,
        "problem": feed.problem(),
        "looked_s": None if looked_at is None else round(time.monotonic() - looked_at, 1),
        "exceptions": [{"fact": one.fact, "lacking": one.lacking} for one in feed.exceptions],
    }
