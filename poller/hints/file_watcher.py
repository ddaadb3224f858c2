"""Watches the file of an SQLite database: a commit of any process leads to a poll at once.

The system tells of writes, not of commits. A write comes before its commit can be seen: the file is
synced in between, and only then the new rows are shown to readers. So a write leads to a few polls:
the first when most commits are there, since a poll that comes too early keeps the next one waiting,
the others soon after. What takes longer is found by the next poll at its interval, as is everything
where the system tells nothing.

- WAL mode: a commit is a write to `-wal`, never one to `-shm`: that is shared memory, which readers
  change, too.
- Rollback journal: the database is written, then `-journal` is removed, cut or cleared.
- Another file at the database's path is told of, too; what becomes of it, the poll decides.

While nobody listens it watches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from poller.hints.shared import Shared
from poller.reading.database import Database
from poller.reading.dialects.sqlite import file_of
from poller.runtime import log
from poller.runtime.folder_events import FolderEvents

AFTER_WRITE_S = (0.002, 0.01, 0.02, 0.04)  # from a write to a hint, and from that to the next ones
LOOK_S = 1.0  # at whether anybody listens
SUFFIXES = ("", "-wal", "-journal")
_READABLE = 1  # the loop's flag for a watcher of input


class FileWatcher(Shared):
    """That of one database. `hint()` is called after a write, `listening` says whether anybody
    needs it."""

    def __init__(
        self, database: Database, hint: Callable[[], object], listening: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._database = database
        self._hint = hint
        self._listening = listening
        self._names: set[str] = set()
        self._events: FolderEvents | None = None
        self._watcher: Any = None
        self._hinted = len(AFTER_WRITE_S)  # so many times since the last write

    def once(self) -> float:
        """Hint if something was written. Returns the seconds until the next look."""
        if not self._listening():
            self._unwatch()
            return LOOK_S
        if self._events is None:
            self._watch()
            written = True  # what was written before it is not told of
        else:
            written = self._was_written(self._events)
        if self._watcher is not None and not self._watcher.active:
            self._watcher.start(self.wake)
        if self._hinted < len(AFTER_WRITE_S):
            self._hint()
            self._hinted = 1 if written else self._hinted + 1
        elif written:
            self._hinted = 0
        return (*AFTER_WRITE_S, LOOK_S)[self._hinted]

    def stop(self) -> None:
        super().stop()
        self._unwatch()

    def wake(self) -> None:
        """There is something to read; the loop would be told again and again until it is read."""
        if self._watcher is not None:
            self._watcher.stop()
        super().wake()

    def _watch(self) -> None:
        file = Path(self._database.read(file_of))
        self._names = {file.name + suffix for suffix in SUFFIXES}
        self._events = FolderEvents(str(file.parent))
        self._watcher = gevent.get_hub().loop.io(self._events.descriptor, _READABLE)

    def _unwatch(self) -> None:
        if self._events is not None:
            self._watcher.stop()
            self._watcher.close()
            self._events.close()
            self._events = self._watcher = None

    def _was_written(self, events: FolderEvents) -> bool:
        names = events.names()
        if names is None:
            self._unwatch()  # and watch the folder that is there now, the next time
        return names is None or not names.isdisjoint(self._names)

    def _on_failure(self, error: Exception) -> None:
        self._unwatch()
        if not self._failures:
            log.info("file not watched", error=str(error), meanwhile="polled at its interval")

    def _on_recovery(self) -> None:
        log.info("file watched", failures=self._failures)
