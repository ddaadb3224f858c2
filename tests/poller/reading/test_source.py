"""The order of a pass and of a start, on which every fence's safety rests."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from poller.ids.cursor import Cursor
from poller.ids.gaps import NOTHING_KNOWN, Gaps, Part
from poller.ids.ranges import Range
from poller.reading.database import Database
from poller.reading.dialects.facts import TableFacts
from poller.reading.fence import FenceVoid, Holder, HolderFence, HoldersSeen
from poller.reading.snapshot import History, Reading
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from tests.harness import sql

# A cursor and its gaps, as a poller keeps them.
OPEN = Cursor.at(6, [(3, 4)]), Gaps((Part(((3, 4),), NOTHING_KNOWN, 0.0),))


class Recorded(HolderFence):
    """Notes when it is asked; `holders` says whether anybody is there."""

    name = "recorded"

    def __init__(self, steps: list[str]) -> None:
        self.steps = steps
        self.held: list[Any] = []
        self.void = False

    def look(self, connection: Any, gaps: Any) -> HoldersSeen:
        self.steps.append("holders")
        if self.void:
            raise FenceVoid("the test says so")
        return HoldersSeen(self.held)

    def idle(self, evidence: Any) -> bool:
        return not self.held


class RecordedTable(Table):
    """Notes what is asked of it, and has the recorded fence."""

    def __init__(self, name: str, fence: Recorded) -> None:
        super().__init__(name)
        self._fence = fence

    @property
    def facts(self) -> TableFacts:
        return replace(super().facts, fence=self._fence)

    def describe(self, *arguments: Any) -> None:
        self._fence.steps.append("describe")
        super().describe(*arguments)

    def poll(self, *arguments: Any) -> Reading:
        self._fence.steps.append("poll")
        return super().poll(*arguments)

    def start_below(self, *arguments: Any) -> int:
        self._fence.steps.append("start_below")
        return super().start_below(*arguments)

    def gaps_below(self, *arguments: Any) -> tuple[list[Range], int]:
        self._fence.steps.append("gaps_below")
        return super().gaps_below(*arguments)

    def status(self, *arguments: Any) -> Reading:
        self._fence.steps.append("status")
        return super().status(*arguments)

    def history(self, *arguments: Any) -> History:
        self._fence.steps.append("history")
        return super().history(*arguments)


@pytest.fixture
def recorded(sqlite_url: str) -> Iterator[tuple[Source, Recorded]]:
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    for row_id in (2, 5, 6, 9):
        sql.execute(sqlite_url, "INSERT INTO notes VALUES (%s)", [row_id])
    fence = Recorded([])
    database = Database(sqlite_url)
    table = RecordedTable("notes", fence)
    yield Source(table, database, Settings.model_construct(history_rows=1)), fence
    database.close()


def test_the_holders_are_read_before_the_rows(recorded: tuple[Source, Recorded]) -> None:
    source, fence = recorded
    source.open()
    fence.steps.clear()
    source.read(*OPEN, 9)
    assert fence.steps == ["holders", "poll"]
    fence.steps.clear()
    source.read(Cursor.at(9), Gaps(), 9)
    assert fence.steps == ["poll"]


def test_a_start_knows_where_it_begins_before_it_asks_who_is_there(
    recorded: tuple[Source, Recorded],
) -> None:
    """A transaction that takes an id below the start after the look would be overlooked."""
    source, fence = recorded
    opening = source.open()
    assert fence.steps == ["describe", "status", "start_below", "holders"]
    assert (opening.cursor, opening.floor) == (Cursor.at(6), 0)


def test_a_start_with_holders_looks_for_the_gaps_afterwards(
    recorded: tuple[Source, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poller.reading.table.GAPS_AT_START", 1)
    source, fence = recorded
    fence.held = [("t1", "pid 1", False)]
    fence.look = lambda *_: fence.steps.append("holders")  # type: ignore[method-assign,assignment]
    opening = source.open()
    assert fence.steps == ["describe", "status", "start_below", "holders", "gaps_below"]
    assert (opening.cursor, opening.floor) == (Cursor.at(6, [(3, 4)]), 2)


def test_a_void_proof_has_the_table_looked_at_again_and_proves_nothing(
    recorded: tuple[Source, Recorded],
) -> None:
    source, fence = recorded
    source.open()
    fence.steps.clear()
    fence.void = True
    fence.keys_last = True
    seen = source.read(*OPEN, 9)
    assert fence.steps == ["holders", "describe", "history", "poll"]
    assert (seen.evidence, seen.unread) == (None, frozenset())
    assert [row.id for row in seen.reading.rows] == [9]


def test_a_gap_is_not_asked_for_while_all_of_its_holders_are_there(
    recorded: tuple[Source, Recorded],
) -> None:
    source, fence = recorded
    source.open()
    fence.keys_last = True
    fence.held = [Holder("t1", "pid 1")]
    held, other = frozenset({"t1"}), frozenset({"t1", "t2"})
    gaps = Gaps((Part(((1, 1), (5, 5)), held, 0.0), Part(((2, 2),), other, 0.0)))
    cursor = Cursor.at(6, gaps.ranges())
    seen = source.read(cursor, gaps, 9)
    assert seen.unread == {held}
    assert [row.id for row in seen.reading.rows] == [2, 9]
    fence.keys_last = False
    seen = source.read(cursor, gaps, 9)
    assert seen.unread == frozenset()
    assert [row.id for row in seen.reading.rows] == [2, 5, 9]


def test_what_was_passed_over_is_forgotten_when_the_table_is_opened_again(
    recorded: tuple[Source, Recorded], sqlite_url: str
) -> None:
    """It was of another history: its ids may be others' by now."""
    source, fence = recorded
    fence.keys_last = True
    fence.held = [Holder("t1", "pid 1")]
    sql.execute(sqlite_url, "UPDATE sqlite_sequence SET seq = 100000")
    source.open()
    source.read(Cursor.at(9), Gaps(), 9)
    fence.steps.clear()
    source.read(Cursor.at(9), Gaps(), 9)
    assert fence.steps == ["holders", "poll"]
    source.open()
    fence.steps.clear()
    source.read(Cursor.at(9), Gaps(), 9)
    assert fence.steps == ["poll"]
