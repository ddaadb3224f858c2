"""What one look at a table gives: values without SQL, so that the loop needs none."""

from __future__ import annotations

from dataclasses import dataclass

from poller.ids.cursor import Cursor
from poller.wire.epoch import LASTING_DIGITS
from poller.wire.row import Row


class HistoryMoved(Exception):  # noqa: N818 - no fault: the next poll finds out what it is now
    """What was read is of another history than it was asked of; none of its rows may be sent."""


@dataclass(frozen=True, slots=True)
class History:
    """Which history of a table this is. `dialects/` says what each part is made of.

    Another `place` is another history; another `epoch` in the same place may be one. The epoch's
    first digits are `lasting`: upkeep leaves them as they are, so a worker that starts later
    trusts them alone.
    `numbered`: they are those of what gives out the ids. As long as they last, ids have not
    started again, except by a `setval`.
    """

    place: str
    epoch: str
    numbered: bool = False

    @property
    def lasting(self) -> str:
        return self.epoch[:LASTING_DIGITS]

    @property
    def passing(self) -> str:
        return self.epoch[LASTING_DIGITS:]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll saw, in one snapshot. Rows are in id order.

    `counter` is the greatest id that the table ever had or was given, `given` the newest one that
    its sequence gave out: a row may have been inserted with an id above that. Each is None if the
    database does not tell. `second` is that of the database's clock: see `wire/epoch.py`.
    """

    history: History
    counter: int | None
    rows: list[Row]
    given: int | None = None
    second: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of some ranges of ids, in id order, and the history whose rows they are.

    `counter` is that of `Reading`: ids that started again may have no other trace.
    """

    history: History
    rows: list[Row]
    counter: int | None = None

    @property
    def epoch(self) -> str:
        return self.history.epoch


@dataclass(frozen=True, slots=True)
class Start:
    """Where a poller starts: the table's history, and `history_rows` below the newest row.

    The cursor's gaps, and all ids up to `floor`, may still fill. `given` is that of `Reading`, read
    before all else. A row has the id `lowest`, and none that was looked at has a lower one; 0 if
    there is no row. `key` is the names that tell one row from another, if rows may change.
    """

    history: History
    cursor: Cursor
    floor: int = 0
    given: int | None = None
    lowest: int = 0
    key: tuple[str, ...] = ()
