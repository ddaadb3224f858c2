"""Gaps that arise while PostgreSQL's holders are idle; the schedules are in `test_fence.py`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from poller.delivery.event_log import EventLog
from poller.ids.ranges import Range
from poller.polling.loop import Poller
from poller.reading.database import Database
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from tests.harness import sql
from tests.harness.process import wait_until

INSERT = "INSERT INTO notes (b) VALUES ('x') RETURNING id"
STATE = "SELECT state FROM pg_stat_activity WHERE pid = %s"
TIMEOUT_S = 30


class Watched:
    """A table, what others do to it, and a poller that was never started: it is asked to pass."""

    def __init__(self, url: str, as_role: str = "") -> None:
        self.url = url
        self.database = Database(url.replace("rowcast@", f"{as_role}@") if as_role else url)
        self._settings = Settings()
        self._log = EventLog(1000, 10**6)
        source = Source(Table("notes"), self.database, self._settings)
        self._poller = Poller("notes", source, self._log, self._settings, lambda: True)

    def insert(self) -> int:
        """A row that is committed at once."""
        return int(sql.execute(self.url, INSERT)[0][0])

    def burn(self) -> int:
        """An id that no row will have, below one that a row has."""
        (row,) = sql.execute(self.url, "SELECT nextval(pg_get_serial_sequence('notes', 'id'))")
        self.insert()
        return int(row[0])

    def gaps(self) -> tuple[Range, ...]:
        """After passes enough to judge what is there now."""
        for _ in range(3):
            self._poller.poll()
        return self._log.cursor.gaps

    def delivered(self) -> list[int]:
        self.gaps()
        return sorted(one.row_id for one in self._log.entries(self._log.oldest, self._log.head))


@pytest.fixture
def notes(postgresql_url: str) -> Iterator[Watched]:
    sql.execute(postgresql_url, "CREATE TABLE notes (id bigserial PRIMARY KEY, b text)")
    watched = Watched(postgresql_url)
    watched.gaps()
    yield watched
    watched.database.close()


@contextmanager
def transaction(url: str) -> Iterator[Any]:
    """One that is rolled back where it was not ended inside the block."""
    with closing(sql.open_connection(url)) as connection:
        yield connection


def took(connection: Any) -> Range:
    """The gap of a row that this transaction has now inserted."""
    (row_id,) = connection.execute(INSERT).fetchone()
    return row_id, row_id


def test_ids_that_are_burnt_beside_an_idle_transaction_do_not_wait_for_it(notes: Watched) -> None:
    with transaction(notes.url) as open_for_long:
        first = took(open_for_long)
        notes.insert()
        assert notes.gaps() == (first,)
        for _ in range(20):
            notes.burn()
            assert notes.gaps() == (first,)
        open_for_long.commit()
    assert first[0] in notes.delivered()


def test_an_id_that_it_takes_later_waits_for_it(notes: Watched) -> None:
    with transaction(notes.url) as open_for_long:
        first = took(open_for_long)
        notes.insert()
        notes.gaps()
        second = took(open_for_long)
        notes.insert()
        in_doubt = notes.burn()  # nobody has seen it idle since it worked
        assert notes.gaps() == (first, second, (in_doubt, in_doubt))
        notes.burn()
        assert notes.gaps() == (first, second, (in_doubt, in_doubt))
        open_for_long.commit()
    assert {first[0], second[0]} <= {*notes.delivered()}
    assert notes.gaps() == ()


def test_a_statement_that_takes_no_id_makes_it_a_holder_of_what_was_taken_meanwhile(
    notes: Watched,
) -> None:
    with transaction(notes.url) as open_for_long:
        first = took(open_for_long)
        notes.insert()
        notes.gaps()
        open_for_long.execute("SELECT 1")
        in_doubt = notes.burn()
        assert notes.gaps() == (first, (in_doubt, in_doubt))


def test_one_that_is_at_work_is_waited_for(notes: Watched) -> None:
    with transaction(notes.url) as at_work:
        first = took(at_work)
        notes.insert()
        notes.gaps()
        pid = at_work.info.backend_pid
        at_work.pgconn.send_query(b"SELECT pg_sleep(600)")
        wait_until(lambda: sql.execute(notes.url, STATE, [pid]) == [("active",)], TIMEOUT_S, "work")
        in_doubt = notes.burn()
        assert notes.gaps() == (first, (in_doubt, in_doubt))
        sql.execute(notes.url, "SELECT pg_terminate_backend(%s, 30000)", [pid])
    assert notes.gaps() == ()


def test_one_that_does_not_say_what_it_does_is_waited_for(notes: Watched) -> None:
    with transaction(notes.url) as silent:
        first = took(silent)
        silent.execute("SET track_activities = off")
        notes.insert()
        notes.gaps()
        in_doubt = notes.burn()
        assert notes.gaps() == (first, (in_doubt, in_doubt))


def test_one_of_a_role_that_we_may_not_look_at_is_waited_for(notes: Watched) -> None:
    role = notes.url.rsplit("/", 1)[1] + "_watcher"
    for statement in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT ON notes, notes_id_seq TO {role}",
    ):
        sql.execute(notes.url, statement)
    stranger = Watched(notes.url, role)
    try:
        stranger.gaps()
        with transaction(notes.url) as open_for_long:
            first = took(open_for_long)
            stranger.insert()
            stranger.gaps()
            in_doubt = stranger.burn()
            assert stranger.gaps() == (first, (in_doubt, in_doubt))
            sql.execute(notes.url, f"GRANT pg_read_all_stats TO {role}")
            stranger.gaps()
            stranger.burn()
            assert stranger.gaps() == (first, (in_doubt, in_doubt))
    finally:
        stranger.database.close()
        sql.execute(notes.url, f"DROP OWNED BY {role}")
        sql.execute(notes.url, f"DROP ROLE {role}")


def test_ids_that_are_burnt_beside_a_prepared_transaction_do_not_wait_for_it(
    notes: Watched,
) -> None:
    with transaction(notes.url) as prepared:
        first = took(prepared)
        prepared.execute("PREPARE TRANSACTION 'left over'")
    notes.insert()
    in_doubt = notes.burn()
    assert notes.gaps() == (first, (in_doubt, in_doubt))
    notes.burn()
    assert notes.gaps() == (first, (in_doubt, in_doubt))
    sql.end_prepared(notes.url, "left over", "COMMIT")
    assert first[0] in notes.delivered()
    assert notes.gaps() == ()
