"""The tables of one `rowcast watch`: those that were named, or any of the database.

A table gets its feed when somebody first looks at it. From then on it is polled until the end, so
that the other tabs can say how much came meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.engine import make_url

from poller.access.granted import PUBLIC
from poller.doctor import only_to_read
from poller.feed import Feed
from poller.inventory import Inventory, take_inventory
from poller.reading.database import Database
from poller.runtime.settings import Settings
from poller.service import Service
from poller.watch import Watch

NEWEST_ROWS = 200  # are there when a table is opened; the page keeps as many


class Tables:
    """`url` is the database, which is opened so that nothing can be written.

    `named` are the tables to watch, empty for all of them; `key` and `columns` are then as for
    `Notifier.watch()`. Raises what `Database` and `only_to_read` raise.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        named: Sequence[str] = (),
        key: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self._url = url
        # Polled alike whether somebody looks or not: a tab counts what comes.
        fit: dict[str, object] = {
            "idle_interval_s": settings.poll_interval_s,
            "history_rows": NEWEST_ROWS,
        }
        if "log_level" not in settings.model_fields_set:
            fit["log_level"] = "warning"  # the page says what goes well
        self.settings = settings.with_changes(**fit)
        to_read = only_to_read(make_url(url)).render_as_string(hide_password=False)
        self.database = Database(to_read, query_timeout_s=settings.query_timeout_s)
        self.service = Service([], self.settings)
        self.named = bool(named)
        self._sources: dict[str, Watch] = {}  # by the name of the feed
        for table in named:
            self._add(table, key, columns)

    @property
    def url(self) -> str:
        return self._url

    @property
    def opened(self) -> Sequence[Feed]:
        return [*self.service.feeds.values()]

    def feed(self, name: str) -> Feed:
        """The feed of a table, which begins to poll if it does not yet. Raises KeyError if there is
        no such table, or it cannot be watched; CannotBeAsked."""
        if name not in self._sources:
            self.inventory()
        if name not in self.service.feeds:
            watch = self._sources[name]
            self.service.feeds[name] = Feed(
                watch, self.database, self.settings, label=str(watch.source)
            )
        return self.service.feeds[name]

    def inventory(self) -> Inventory:
        """What there is to choose from, as it is now. Raises CannotBeAsked; KeyError if the tables
        were named."""
        if self.named:
            raise KeyError("the tables were named")
        found = take_inventory(self._url, self.settings)
        for one in found.listed:
            if not one.report.problem:
                self._add(one.name, one.key if one.named else None, None)
        return found

    def open_named(self) -> Sequence[Feed]:
        """The feeds of the tables that were named."""
        return [self.feed(name) for name in self._sources] if self.named else []

    def close(self) -> None:
        """End polls and streams, and leave the database."""
        self.service.drain()
        for feed in self.opened:
            feed.close()
        self.database.close()

    def _add(self, table: str, key: str | None, columns: Sequence[str] | None) -> None:
        name = feed_name(table)
        if name not in self._sources:
            watch = Watch.of(table, name, key, columns, None, {})
            # Whoever is let in by the program's own gate may see every table.
            self._sources[name] = replace(watch, authorize=PUBLIC)


def feed_name(table: str) -> str:
    """A table's name in addresses: the table's own, but for a slash, which divides them."""
    return table.replace("%", "%25").replace("/", "%2F")
