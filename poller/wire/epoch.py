"""The epoch: which history of a table an id is of. It is the part of an id before its dot.

    3f2a09 c41e 37a1b2     lasting, passing, minute: hexadecimal digits, in an id without blanks

*Lasting* and *passing* are the history's name: hashes of what the database's catalogue tells of the
table, which every worker reads for itself. The passing part also changes when the table is
rewritten or altered. The *minute* is when the id was given, by the database's clock, which is the
same for all workers of all machines.

The minute is for what leaves no trace in the catalogue: ids that start again (`setval`, a cleared
`sqlite_sequence`). Workers share nothing, so each that notices it declares the ids of before void,
from `valid_from` on. An id that was given later, by any worker, is good: also by one that started
after it and never knew. Until that minute is over, such a worker's ids are refused, too: a needless
reset. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

LASTING_DIGITS = 6
PASSING_DIGITS = 4
NAME_DIGITS = LASTING_DIGITS + PASSING_DIGITS
MINUTE_DIGITS = 6  # minutes since 2020: enough until 2051
FIRST_MINUTE = 26_297_280  # 2020-01-01, in minutes since 1970


@dataclass(frozen=True, slots=True)
class Salt:
    """A worker's clock: the `minute` in the ids that it gives, and the first that it takes."""

    minute: int = 0
    valid_from: int = 0

    def at(self, minute: int) -> Salt:
        """Later, at this minute since 1970 of the database's clock. It never goes back."""
        return Salt(max(self.minute, minute - FIRST_MINUTE), self.valid_from)

    def void_before(self) -> Salt:
        """With all that was given up to now void, by this worker or another."""
        return Salt(self.minute + 1, self.minute + 1)

    def epoch(self, name: str) -> str:
        """The epoch of ids of the history `name` that are given now."""
        named = self.minute and len(name) == NAME_DIGITS
        return f"{name}{self.minute:0{MINUTE_DIGITS}x}" if named else name


def is_valid(epoch: str, position: int, names: Collection[str], salt: Salt, lowest: int) -> bool:
    """Whether an id of `epoch`, with this position, is of the history that has these `names`.

    Where only the passing part is unknown, the table was rewritten while this worker did not look,
    altered or truncated. A truncated table has no row left up to the position. `lowest` is the
    least id that this worker saw when it started, 0 if there was no row.
    """
    full = len(epoch) == NAME_DIGITS + MINUTE_DIGITS
    name, minute = (epoch[:NAME_DIGITS], int(epoch[NAME_DIGITS:], 16)) if full else (epoch, 0)
    if minute < salt.valid_from:
        return False
    if name in names:
        return True
    rewritten = any(name[:LASTING_DIGITS] == known[:LASTING_DIGITS] for known in names)
    return rewritten and (not position or 0 < lowest <= position)
