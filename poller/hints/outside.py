"""What tells of commits by any process: the file of an SQLite database, a channel of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from poller.hints.file_watcher import FileWatcher
from poller.hints.listener import Listener
from poller.reading.channel import Channel
from poller.reading.database import Database
from poller.runtime.settings import Settings, SettingsError

Watcher = FileWatcher | Listener
Hint = Callable[[str | None, str], object]  # a feed's name, or None for all; where it comes from


def watcher_of(
    database: Database, settings: Settings, hint: Hint, listening: Callable[[], bool]
) -> Watcher | None:
    """The one for this database, if there is one; it is not started yet.

    Raises SettingsError for a channel where there are none.
    """
    if settings.listen and database.dialect != "postgresql":
        raise SettingsError(
            f"ROWCAST_LISTEN={settings.listen!r} names a channel of PostgreSQL, but the database "
            f"is {database.dialect}: unset it"
        )
    if settings.listen:
        channel = Channel(database, settings.listen)
        # Asked as often as a query may take: that is how long nothing may be heard unnoticed.
        check_s = settings.query_timeout_s
        return Listener(channel, lambda payload: hint(payload or None, "listen"), check_s)
    if database.is_sqlite:
        return FileWatcher(database, partial(hint, None, "file"), listening)
    return None
