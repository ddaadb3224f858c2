"""The file of an SQLite database: whatever way it is written, there is a hint after it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import gevent
import pytest

from poller import Database
from poller.hints import file_watcher
from poller.hints.file_watcher import AFTER_WRITE_S, FileWatcher
from poller.runtime import folder_events, recurring
from poller.runtime.folder_events import FolderEvents
from tests.harness.greenlets import until
from tests.harness.logged import logged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes")
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"


class Watched:
    """A database, its watcher, and how often it hinted. `seen` is how many rows were there at each
    hint."""

    def __init__(self, path: Path) -> None:
        self.path, self.listening, self.seen = path, True, list[int]()
        write(path, TABLE)
        self.database = Database(f"sqlite:///{path}")
        self.watcher = FileWatcher(self.database, self._hinted, lambda: self.listening)

    def _hinted(self) -> None:
        self.seen.append(rows(self.path))

    def settled(self) -> None:
        """Until the hints of the last write are over."""
        until(lambda: self.watcher._hinted == len(AFTER_WRITE_S), "the last hint")

    def start(self) -> None:
        self.watcher.start()
        until(lambda: self.seen, "the first hint")
        self.settled()

    def writes(self, work: Callable[[], object]) -> None:
        """After `work()` a hint comes that sees what was written."""
        self.settled()
        work()
        there, hints = rows(self.path), len(self.seen)
        until(lambda: there in self.seen[hints:], "a hint after the write")


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rows(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM notes").fetchone()
    return int(count)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path / "notes.db")
    yield found
    found.watcher.stop()
    found.database.close()


INSERT = "INSERT INTO notes (body) VALUES ('x')"


def test_each_write_leads_to_a_few_hints_and_then_it_is_quiet(watched: Watched) -> None:
    watched.start()
    for _ in range(3):
        watched.writes(lambda: write(watched.path, INSERT))
        watched.settled()
    hints = len(watched.seen)
    write(watched.path.with_name("another"), TABLE)
    gevent.sleep(0.2)
    assert len(watched.seen) == hints


def test_the_first_hint_leaves_time_for_the_commit_and_no_flood_puts_it_off(
    watched: Watched,
) -> None:
    watcher = watched.watcher
    while watcher.once() != file_watcher.LOOK_S:
        pass
    watched.seen.clear()
    write(watched.path, INSERT)
    assert watcher.once() == AFTER_WRITE_S[0]
    assert watched.seen == []
    for number in range(2, 5):
        write(watched.path, INSERT)
        assert watcher.once() == AFTER_WRITE_S[1]
        assert watched.seen[-1] == number
    assert [watcher.once() for _ in range(3)] == [*AFTER_WRITE_S[2:], file_watcher.LOOK_S]
    assert len(watched.seen) == 6


def test_a_wal_that_is_written_from_its_start_again_is_seen(watched: Watched) -> None:
    """Its size stays as it is then."""
    watched.start()
    with closing(sqlite3.connect(watched.path)) as writer:

        def insert() -> None:
            writer.execute(INSERT)
            writer.commit()

        for _ in range(3):
            watched.writes(insert)
        wal = watched.path.with_name("notes.db-wal")
        size = wal.stat().st_size
        writer.execute("PRAGMA wal_checkpoint(RESTART)")
        watched.writes(insert)
        assert wal.stat().st_size == size


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST"])
def test_a_rollback_journal_is_seen(tmp_path: Path, mode: str) -> None:
    """As in a file that may only be read, or that somebody has set back."""
    path = tmp_path / "notes.db"
    write(path, TABLE)
    told: list[None] = []
    database = mock.Mock()
    database.read.return_value = str(path)
    watcher = FileWatcher(database, lambda: told.append(None), lambda: True)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        watcher.start()
        until(lambda: watcher._hinted == len(AFTER_WRITE_S), "that it is quiet")
        hints = len(told)
        writer.execute(INSERT)
        writer.commit()
        until(lambda: len(told) == hints + len(AFTER_WRITE_S), "the hints after the write")
    watcher.stop()


def test_another_file_at_the_path_is_told_of(watched: Watched) -> None:
    watched.start()
    other = watched.path.with_name("other.db")
    write(other, TABLE, INSERT, INSERT)

    def swap() -> None:
        watched.database.dispose()
        for suffix in ("-wal", "-shm"):
            watched.path.with_name(f"notes.db{suffix}").unlink(missing_ok=True)
        other.replace(watched.path)

    watched.writes(swap)
    watched.writes(lambda: write(watched.path, INSERT))


def test_while_nobody_listens_it_watches_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watcher, "LOOK_S", 0.01)
    watched.listening = False
    watched.watcher.start()
    write(watched.path, INSERT)
    gevent.sleep(0.1)
    assert watched.seen == []
    assert watched.watcher._events is None
    watched.listening = True
    until(lambda: watched.seen, "a hint, for what was written meanwhile")
    watched.writes(lambda: write(watched.path, INSERT))
    watched.listening = False
    until(lambda: watched.watcher._events is None, "that it watches no more")


def test_a_folder_that_goes_and_comes_is_watched_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 0.02)
    monkeypatch.setattr(file_watcher, "LOOK_S", 0.02)
    watched.start()
    folder = watched.path.parent
    away = folder.with_name("away")
    folder.rename(away)
    until(lambda: watched.watcher.problem, "that it is gone")
    away.rename(folder)
    until(lambda: watched.watcher._events is not None, "that it is watched again")
    watched.writes(lambda: write(watched.path, INSERT))


def test_a_system_that_tells_nothing_is_said_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 0.01)
    with mock.patch.object(folder_events, "_libc", return_value=None), logged() as lines:
        watched.watcher.start()
        until(lambda: watched.watcher._failures > 3, "a few tries")
    assert [line["event"] for line in lines] == ["file not watched"]
    assert watched.seen == []


def test_too_many_events_are_a_hint(tmp_path: Path) -> None:
    """The kernel keeps only so many; that it dropped some is told."""
    events = FolderEvents(str(tmp_path))
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, two = tmp_path / "one", tmp_path / "two"
    with one.open("wb", 0) as first, two.open("wb", 0) as second:
        for _ in range(most // 2 + 10):
            first.write(b"x")
            second.write(b"x")
    assert events.names() is None
    events.close()
    shutil.rmtree(tmp_path)


def test_its_descriptors_are_closed(watched: Watched) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no folder of ours
    for _ in range(3):
        events = FolderEvents(str(watched.path.parent))
        events.close()
        with pytest.raises(FileNotFoundError):
            FolderEvents(str(watched.path.parent / "absent"))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
