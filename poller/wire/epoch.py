"""The epoch: which history of a table an id is of. It is the part of an id before its dot.

    3f2a09 c41e 3l9x2o     lasting, passing, time: without the blanks in an id

*Lasting* and *passing* are the history's name: hashes of what the database's catalogue tells of the
table, which every worker reads for itself. The passing part also changes when the table is
rewritten or altered. The *time* is when the id was given, by the database's clock, which is the
same for all workers of all machines: in seconds, in base 36.

The time is for what leaves no trace in the catalogue: ids that start again (`setval`, a cleared
`sqlite_sequence`). Workers share nothing, so each that notices it declares the ids of before void,
from `valid_from` on. An id that was given later, by any worker, is good: also by one that started
after it and never knew.

An id never claims to have been given later than it was. It may claim less: so that all workers
give the same ids most of the time, and caches can answer for each other, the time is that of the
minute's beginning. Until the next one begins, a worker gives the second in which it started; and in
the minute after ids started again, that of the moment: ids of before and after must be told apart.
What two workers notice in different seconds voids, at the later one, what the other gave in
between: these clients are reset once more. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

LASTING_DIGITS = 6
PASSING_DIGITS = 4
NAME_DIGITS = LASTING_DIGITS + PASSING_DIGITS
TIME_DIGITS = 6  # seconds since 2020 in base 36: enough until 2088
FIRST_SECOND = 1_577_836_800  # 2020-01-01, in seconds since 1970
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Salt:
    """A worker's clock: `now`, the `time` in the ids that it gives, and the first that it takes.

    Until `exact_until` the time is that of the moment. All are seconds since 2020.
    """

    now: int = 0
    time: int = 0
    valid_from: int = 0
    exact_until: int = 0

    def at(self, second: int) -> Salt:
        """Later, at this second since 1970 of the database's clock. It never goes back."""
        now = max(self.now, second - FIRST_SECOND)
        if now == self.now and self.time:  # which is so at most polls
            return self
        exact = not self.time or now < self.exact_until
        time = now if exact else now - now % MINUTE_S
        return replace(self, now=now, time=max(self.time, time))

    def void_before(self) -> Salt:
        """With all that was given up to now void, by this worker or another."""
        next_time = max(self.now, self.time) + 1
        return Salt(self.now, next_time, next_time, next_time + MINUTE_S)

    def epoch(self, name: str) -> str:
        """The epoch of ids of the history `name` that are given now."""
        named = self.time and len(name) == NAME_DIGITS
        return f"{name}{_text(self.time)}" if named else name


@lru_cache(maxsize=8)  # it stays the same for a minute
def _text(time: int) -> str:
    digits = ""
    for _ in range(TIME_DIGITS):
        time, digit = divmod(time, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def is_valid(epoch: str, position: int, names: Collection[str], salt: Salt, lowest: int) -> bool:
    """Whether an id of `epoch`, with this position, is of the history that has these `names`.

    Where only the passing part is unknown, the table was rewritten while this worker did not look,
    altered or truncated. A truncated table has no row left up to the position. `lowest` is the
    least id that this worker saw when it started, 0 if there was no row.
    """
    full = len(epoch) == NAME_DIGITS + TIME_DIGITS
    name, time = (
        (epoch[:NAME_DIGITS], int(epoch[NAME_DIGITS:], len(DIGITS))) if full else (epoch, 0)
    )
    if time < salt.valid_from:
        return False
    if name in names:
        return True
    rewritten = any(name[:LASTING_DIGITS] == known[:LASTING_DIGITS] for known in names)
    return rewritten and (not position or 0 < lowest <= position)
