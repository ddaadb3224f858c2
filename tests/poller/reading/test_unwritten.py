"""SQLite tells whether anything was written: a poll asks for rows only then, and misses nothing."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from poller.delivery.event_log import EventLog
from poller.polling.loop import Poller
from poller.reading import unwritten
from poller.reading.database import Database
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from poller.wire.epoch import FIRST_SECOND
from tests.harness import sql

NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT)"
INSERT = "INSERT INTO notes (text) SELECT 'row ' || (count(*) + 1) FROM notes"


class Reader:
    """A poller of one table, by hand; `asked` counts how often it asked for rows."""

    def __init__(self, source: str | sa.Engine, table_source: object) -> None:
        self.database = Database(source)
        settings = Settings()
        table = Table(table_source)
        self.log = EventLog(settings.log_capacity_rows, settings.log_capacity_bytes)
        self.source = Source(table, self.database, settings)
        self.poller = Poller(table.name, self.source, self.log, settings, lambda: True)
        self.asked = 0
        self._poll = table.poll
        table.poll = self._counted  # type: ignore[method-assign, assignment]

    def _counted(self, *arguments: object) -> object:
        self.asked += 1
        return self._poll(*arguments)  # type: ignore[arg-type]

    def poll(self) -> bool:
        """Whether the pass asked for rows."""
        before = self.asked
        self.poller.poll()
        return self.asked > before

    def settle(self) -> None:
        """Poll until there is nothing to ask for."""
        assert any(not self.poll() for _ in range(4)), "it asks at each poll"
        assert not self.poll()

    @property
    def ids(self) -> list[int]:
        return [entry.row_id for entry in self.log.entries(self.log.oldest, self.log.head)]


Watch = Callable[..., Reader]


@pytest.fixture
def watch(sqlite_url: str) -> Iterator[Watch]:
    """A reader, which has settled on a table of three rows."""
    readers = []

    def make(table: object = "notes", source: str | sa.Engine = sqlite_url) -> Reader:
        readers.append(Reader(source, table))
        return readers[-1]

    sql.execute(sqlite_url, NOTES)
    for _ in range(3):
        sql.execute(sqlite_url, INSERT)
    yield make
    for one in readers:
        one.database.close()


def test_a_poll_asks_for_rows_only_if_something_was_written(watch: Watch, sqlite_url: str) -> None:
    reader = watch()
    reader.settle()
    assert reader.ids == [1, 2, 3]
    sql.execute(sqlite_url, INSERT)
    assert reader.poll()
    assert reader.ids == [1, 2, 3, 4]
    reader.settle()
    assert reader.log.counter == 4


def test_what_this_process_writes_itself_is_seen(watch: Watch) -> None:
    """Through the same `Database`, and so on a connection of its own."""
    reader = watch()
    reader.settle()
    for number in (4, 5, 6):
        reader.database.write(lambda c: c.exec_driver_sql(INSERT))
        assert reader.poll()
        assert reader.ids[-1] == number
        reader.settle()


def test_the_command_line_of_sqlite_is_seen(watch: Watch, sqlite_url: str) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("the program sqlite3 is not installed")
    reader = watch()
    reader.settle()
    subprocess.run(["sqlite3", sql.sqlite_path(sqlite_url), INSERT], check=True, timeout=30)
    assert reader.poll()
    assert reader.ids[-1] == 4


REFILL = """
BEGIN;
DELETE FROM notes;
DELETE FROM sqlite_sequence;
INSERT INTO notes (text) VALUES ('other'), ('others'), ('and others');
COMMIT;
"""
RECREATED = f"BEGIN; DROP TABLE notes; {NOTES}; INSERT INTO notes (text) VALUES ('one'); COMMIT;"


@pytest.mark.parametrize("script", [REFILL + INSERT, RECREATED])
def test_a_refill_within_one_transaction_is_a_reset(
    watch: Watch, sqlite_url: str, script: str
) -> None:
    reader = watch()
    reader.settle()
    generation = reader.log.generation
    with closing(sqlite3.connect(sql.sqlite_path(sqlite_url))) as other:
        other.executescript(script)
    assert reader.poll()
    reader.settle()
    assert reader.log.generation == generation + 1


def test_a_backup_into_the_file_is_seen(watch: Watch, sqlite_url: str, tmp_path: Path) -> None:
    reader = watch()
    reader.settle()
    with (
        closing(sqlite3.connect(tmp_path / "backup")) as backup,
        closing(sqlite3.connect(sql.sqlite_path(sqlite_url))) as live,
    ):
        backup.executescript(f"{NOTES}; INSERT INTO notes VALUES (7, 'of the backup')")
        backup.backup(live)
    assert reader.poll()
    reader.settle()
    assert reader.ids[-1] == 7


def test_a_file_that_is_put_in_place_is_seen(watch: Watch, sqlite_url: str, tmp_path: Path) -> None:
    reader = watch()
    reader.settle()
    other, place = tmp_path / "other", Path(sql.sqlite_path(sqlite_url))
    with closing(sqlite3.connect(other)) as made:
        made.executescript(f"{NOTES}; INSERT INTO notes VALUES (2, 'of the other file')")
    other.rename(place)
    reader.poll()
    reader.settle()
    assert (reader.ids, reader.log.reset_reason) == ([2], "history-changed")


def test_a_file_that_is_gone_is_an_error_until_it_is_back(watch: Watch, sqlite_url: str) -> None:
    reader = watch()
    reader.settle()
    place = Path(sql.sqlite_path(sqlite_url))
    place.rename(place.with_name("away"))
    with pytest.raises(OSError, match="No such file"):
        reader.poll()
    place.with_name("away").rename(place)
    assert reader.poll()
    reader.settle()


@pytest.mark.parametrize("command", ["VACUUM", "ALTER TABLE notes ADD COLUMN more TEXT"])
def test_what_changes_no_row_is_asked_about_and_changes_nothing(
    watch: Watch, sqlite_url: str, command: str
) -> None:
    reader = watch()
    reader.settle()
    generation = reader.log.generation
    with closing(sqlite3.connect(sql.sqlite_path(sqlite_url), isolation_level=None)) as other:
        other.execute(command)
    assert reader.poll()
    reader.settle()
    assert (reader.log.generation, reader.ids) == (generation, [1, 2, 3])


def test_another_journal_mode_changes_nothing(watch: Watch, sqlite_url: str) -> None:
    """The mode can be switched while nobody else is connected; a new connection switches back."""
    reader = watch()
    reader.settle()
    path = sql.sqlite_path(sqlite_url)
    with closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("PRAGMA journal_mode = DELETE")
        reader.database.dispose()
        assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        other.execute(INSERT)
        assert reader.poll()
        other.execute(INSERT)
        assert reader.poll()
    assert reader.ids == [1, 2, 3, 4, 5]
    reader.settle()


def test_rollback_journals_tell_too(sqlite_url: str, watch: Watch) -> None:
    """As where WAL cannot be had: on a network file system."""
    path = sql.sqlite_path(sqlite_url)

    def connect() -> sqlite3.Connection:
        class Old(sqlite3.Connection):
            def execute(self, command: str, *given: object) -> sqlite3.Cursor:
                return super().execute(command.replace("WAL", "DELETE"), *given)  # type: ignore[arg-type]

        return sqlite3.connect(path, factory=Old, check_same_thread=False)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    reader = watch(source=sa.create_engine(sqlite_url, creator=connect))
    reader.settle()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        other.execute("BEGIN")
        other.execute(INSERT)
        assert not reader.poll()
        other.execute("COMMIT")
    assert reader.poll()
    assert reader.ids[-1] == 4


def test_a_view_that_goes_by_the_time_is_asked_at_each_poll(watch: Watch, sqlite_url: str) -> None:
    due = "SELECT * FROM notes WHERE strftime('%s', 'now') > '0'"
    sql.execute(sqlite_url, f"CREATE VIEW due AS {due}")
    reader = watch(sa.Table("due", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True)))
    assert [reader.poll() for _ in range(4)] == [True] * 4


def test_with_another_file_attached_all_is_asked_at_each_poll(
    watch: Watch, sqlite_url: str, tmp_path: Path
) -> None:
    def connect() -> sqlite3.Connection:
        made = sqlite3.connect(sql.sqlite_path(sqlite_url), check_same_thread=False)
        made.execute("ATTACH ? AS other", (str(tmp_path / "other"),))
        return made

    reader = watch(source=sa.create_engine(sqlite_url, creator=connect))
    assert [reader.poll() for _ in range(4)] == [True] * 4


def test_after_a_fault_or_a_look_all_is_asked(watch: Watch) -> None:
    reader = watch()
    reader.settle()
    reader.source.describe()
    assert reader.poll()
    reader.settle()
    assert (
        reader.source.read(reader.log.cursor, reader.poller._gaps, 500, thorough=True).reading.rows
        == []
    )
    assert reader.asked
    assert reader.poll() is False


def test_the_second_goes_on(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no row is asked for: the time in ids is that of the last poll."""
    reader = watch()
    reader.settle()
    later = "SELECT data_version, 2000000000 FROM pragma_data_version"
    monkeypatch.setattr(unwritten, "WRITTEN", later)
    assert not reader.poll()
    assert reader.poller._identity.salt.now == 2_000_000_000 - FIRST_SECOND
