"""Which rows came too late, though nothing was in their way. Pure, no I/O.

A row is late by the *facts* if two passes or more over the table began after its commit had ended,
read everything that there was, and did not bring it: the next one should have. One is let pass: a
transaction may end between a pass's look at who holds ids and its read of the rows. How busy the
machine is makes no difference to that.

A row is late by the *clock* if a client that reads at once had it later than `longest_wait_s`
after the commit, and no fault was active. What a machine that is busy took is not counted against
it. Processes that only want to go on, and one that asks the database for nothing, measure how long
they were not let (`Beat`); a row goes through three hands one after another, of which each may have
been kept waiting for as long. A worker whose own work keeps its hub from turning is not excused by
that. How many waits were too long and are excused is told beside the verdict.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from tests.campaigns.oracle.delays import Starved, Wait, calm_waits
from tests.campaigns.oracle.records import Pass, Record

PASSES_LET_PASS = 1
HANDS = 3  # the database, the worker, the client


class Late(Struct, frozen=True):
    payload: str
    row_id: int
    where: str  # a worker or a client
    at_s: float  # when it was there at last
    waited_s: float
    passed_by: int = 0  # by so many passes
    starved_s: float = 0.0  # of the wait

    def __str__(self) -> str:
        why = f"{self.passed_by} passes left it out" if self.passed_by else (
            f"the machine took {self.starved_s:.3f} s of it")  # fmt: skip
        return f"row {self.row_id} after {self.waited_s:.3f} s at the {self.where}; {why}"


def late_rows(record: Record) -> list[Late]:
    """By the facts, and by the clock if it is to judge."""
    return sorted([*_by_facts(record), *_by_clock(record)], key=lambda one: one.at_s)


def _by_facts(record: Record) -> Iterator[Late]:
    order = sorted(record.passes, key=lambda one: (one.worker, one.life, one.began_s))
    for _, life in groupby(order, key=lambda one: (one.worker, one.life)):
        yield from _of_life(record, [*life])


def _of_life(record: Record, life: list[Pass]) -> Iterator[Late]:
    """A worker that opens the table again begins anew: what it finds there is history."""
    complete = [one.began_s for one in life if one.complete]
    for one in life:
        for payload in one.payloads:
            attempt = record.attempts.get(payload)
            if attempt is None or attempt.ended_s is None or attempt.outcome != "committed":
                continue
            first = bisect_right(complete, attempt.ended_s)
            passed_by = bisect_left(complete, one.began_s) - first
            if passed_by > PASSES_LET_PASS:
                waited_s = one.ended_s - attempt.ended_s
                yield Late(payload, attempt.row_id, one.worker, one.ended_s, waited_s, passed_by)


def excused(record: Record) -> int:
    """How many receipts were too late by the clock, and the machine is to blame."""
    return len(_too_long(record)) - sum(1 for _ in _by_clock(record))


def _by_clock(record: Record) -> Iterator[Late]:
    starved = Starved(record.beats)
    for wait in _too_long(record):
        starved_s = starved.between(wait.committed_s, wait.received_s)
        if wait.waited_s - HANDS * starved_s > (record.longest_wait_s or 0.0):
            row_id = record.attempts[wait.payload].row_id
            where = f"client '{wait.client}'"
            yield Late(
                wait.payload, row_id, where, wait.received_s, wait.waited_s, starved_s=starved_s
            )


def _too_long(record: Record) -> list[Wait]:
    longest_s = record.longest_wait_s
    if longest_s is None:
        return []
    return [wait for wait in calm_waits(record) if wait.waited_s > longest_s]
