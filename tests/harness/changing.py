"""A simulated table whose rows change, its workers, and clients that keep a map of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from poller.delivery.changes_log import ChangesLog
from poller.delivery.event_log import EventLog
from poller.ids.ranges import Range
from poller.reading.snapshot import Start
from poller.wire.row import CutOff, KeyedRow, Row
from tests.harness.simulation import Client, SimulatedSource, SimulatedTable, Worker


class State(NamedTuple):
    """One state of a row."""

    version: int
    deleted: bool = False


@dataclass
class ChangingTable(SimulatedTable):
    """Versions are given out in order, to rows that are locked by who changes them.

    `states` is what has been committed of each key, `changes` what open transactions have done,
    `history_of` all states that a key ever had.
    """

    states: dict[int, State] = field(default_factory=dict)
    changes: dict[int, dict[int, State]] = field(default_factory=dict)
    history_of: dict[int, list[State]] = field(default_factory=dict)

    def begin(self, rows: int = 0) -> int:
        """Without a row; `change()` brings some."""
        self.transactions += 1
        self.open[self.transactions] = []
        self.changes[self.transactions] = {}
        return self.transactions

    def change(self, transaction: int, key: int, *, deletes: bool = False) -> bool:
        """Whether it could: one that has to wait for another's lock does nothing."""
        others = (made for one, made in self.changes.items() if one != transaction)
        if any(key in made for made in others):
            return False
        self.last_id += 1
        self.changes[transaction][key] = State(self.last_id, deletes)
        self.open[transaction].append(self.last_id)
        return True

    def commit(self, transaction: int) -> None:
        for key, state in self.changes.pop(transaction).items():
            self.states[key] = state
            self.history_of.setdefault(key, []).append(state)
        del self.open[transaction]

    def roll_back(self, transaction: int) -> None:
        del self.open[transaction], self.changes[transaction]

    def set(self, *keys: int, deletes: bool = False) -> None:
        """Change rows in a transaction of their own."""
        transaction = self.begin()
        for key in keys:
            assert self.change(transaction, key, deletes=deletes)
        self.commit(transaction)

    @property
    def ids(self) -> set[int]:
        return {state.version for state in self.states.values()}

    def rows_in(self, ranges: Sequence[Range], limit: int) -> list[Row]:
        there = sorted((state, key) for key, state in self.states.items())
        found = [one for one in there if any(lo <= one[0].version <= hi for lo, hi in ranges)]
        rows: list[Row] = [_row(key, state) for state, key in found[:limit]]
        return rows if len(rows) <= self.rows_that_fit else CutOff(rows[: self.rows_that_fit])


def _row(key: int, state: State) -> Row:
    columns = {"id": key, "version": state.version}
    return KeyedRow(state.version, columns, key={"id": key}, deleted=state.deleted)


class ChangingSource(SimulatedSource):
    """`between` is called once between the fence's look and the read that follows it."""

    between: Callable[[], object] | None = None

    def open(self) -> Start:
        return replace(super().open(), key=("id",))

    def looked(self) -> None:
        between, self.between = self.between, None
        if between is not None:
            between()


class ChangingWorker(Worker):
    make_source = ChangingSource
    make_log: ClassVar[type[EventLog]] = ChangesLog


class MapClient(Client):
    """Keeps the newest state of each row that it was sent. Fails if one is older than before."""

    def __init__(self, table: ChangingTable, last_event_id: str | None = "0") -> None:
        super().__init__(last_event_id)
        self.rows: dict[int, State] = {}
        self.bodies = 0
        self._table = table

    def _note(self) -> None:
        for event in self._parser.events:
            if event.type == "reset":
                self.resets.append(event.json["reason"])
            elif event.type in ("message", "delete"):
                self._take_row(event.type, event.json)
        self._parser.events.clear()
        self.last_event_id = self._parser.last_event_id or None

    def _take_row(self, kind: str, data: dict[str, Any]) -> None:
        key = int(data["id"])
        before = self.rows.get(key, State(0))
        if kind == "message":
            now = State(int(data["version"]))
        else:  # it does not say which deletion it is: the next one that there was
            deletions = [one for one in self._table.history_of[key] if one.deleted]
            now = next((one for one in deletions if one > before), State(-1))
        assert now > before, f"row {key}: {now} after {before}"
        assert now in self._table.history_of[key]
        self.rows[key] = now
        self.bodies += 1


def changing_worker(table: SimulatedTable, **changes: object) -> ChangingWorker:
    worker = ChangingWorker(table, **changes)
    worker.poll_until_quiet()
    return worker
