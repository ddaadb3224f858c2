"""The hints of one notifier: what it is told, what it tells the others, and what it watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from poller.hints.outside import Watcher, watcher_of
from poller.hints.teller import Teller
from poller.reading.database import Database
from poller.runtime.settings import Settings


class Hinted(Protocol):
    """A feed."""

    @property
    def database(self) -> Database: ...
    def is_listened_to(self) -> bool: ...
    def wake(self, source: str = ...) -> None: ...


class Hints:
    """Those of the notifier below this prefix. `feeds` may grow, as in `rowcast watch`.

    Raises SettingsError.
    """

    def __init__(self, feeds: Mapping[str, Hinted], settings: Settings, prefix: str) -> None:
        self._feeds = feeds
        self._settings = settings
        self._teller = Teller(prefix)
        self._watcher: Watcher | None = None
        self._watcher = self.watcher

    @property
    def watcher(self) -> Watcher | None:
        """What tells of commits to the feeds' database by any process, if there is something."""
        for feed in self._feeds.values():
            if self._watcher is None:
                asked = feed.database, self._settings, self.heard, self._listened_to
                self._watcher = watcher_of(*asked)
            break
        return self._watcher

    def wake(self, name: str | None = None) -> None:
        """A row was inserted into the table of this feed (None: of any): poll now, here and in the
        server's other workers. Raises KeyError for one that there is not."""
        if name is not None and name not in self._feeds:
            raise KeyError(name)
        for feed in self._named(name):
            feed.wake()
        self._teller.tell(name)

    def wake_here(self, name: str | None, source: str) -> None:
        """Somebody else says so: poll now, in this worker alone. Nothing is done for a feed that
        there is not, or that nobody listens to: whoever comes first has it polled."""
        for feed in self._named(name):
            if feed.is_listened_to():
                feed.wake(source)

    def heard(self, name: str | None, source: str) -> None:
        """The database says so. A payload that names no feed may be an application's own: it means
        all of them."""
        self.wake_here(name if name in self._feeds else None, source)

    def _named(self, name: str | None) -> Iterator[Hinted]:
        return iter([feed for key, feed in self._feeds.items() if name in (None, key)])

    def _listened_to(self) -> bool:
        return any(feed.is_listened_to() for feed in self._feeds.values())
