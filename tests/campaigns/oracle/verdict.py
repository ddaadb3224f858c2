"""The verdict on one run: pass, fail, vacuous or unknown. Pure, no I/O.

| verdict | when |
|---|---|
| fail | there is an anomaly, or a row was late: `lateness.py` |
| unknown | a client did not see the sentinel in time, or the journals contradict the table |
| vacuous | nothing was wrong, but too little was tried to say so |
| pass | none of these |

A run is vacuous unless every planned fault was seen to take effect, everything that the writers
had to do was done, 95 % of them committed in the first and in the second half of it, and 10 rows
were committed late: after a row with a greater id of another transaction (not where the record
says that they come in order).
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from tests.campaigns.oracle.checker import ANOMALIES, Anomaly, anomalies, contradictions
from tests.campaigns.oracle.delays import Delays, delays
from tests.campaigns.oracle.lateness import Late, excused, late_rows
from tests.campaigns.oracle.records import Attempt, Record

WORKING_SHARE = 0.95
LATE_COMMITS = 10

Verdict = Literal["pass", "fail", "unknown", "vacuous"]


class Report(Struct, frozen=True):
    verdict: Verdict
    reasons: list[str]
    anomalies: list[Anomaly]
    counts: dict[str, int]  # anomalies by kind, and what is counted beside them
    committed: int
    late_commits: int
    naive_lost: int
    delays: Delays
    late: list[Late]
    excused: int  # receipts that were too late, because the machine was busy


def report(record: Record) -> Report:
    """The verdict and the figures of one run."""
    found = anomalies(record)
    counts = Counter(one.kind for one in found)
    late = late_rows(record)
    bad = [f"{counts[kind]} {kind}" for kind in ANOMALIES if counts[kind]]
    bad += [f"{len(late)} late, the first: {late[0]}"] if late else []
    unknown = [*_unserved(record), *contradictions(record)[:5]]
    vacuous = _vacuity(record)
    verdict: Verdict = "fail" if bad else "unknown" if unknown else "vacuous" if vacuous else "pass"
    return Report(
        verdict,
        [*bad, *unknown, *vacuous],
        found,
        dict(counts),
        committed(record),
        late_commits(record),
        naive_lost(record),
        delays(record),
        late,
        excused(record),
    )


def _unserved(record: Record) -> list[str]:
    """Clients that never saw the sentinel, in words."""
    late = [
        client.name
        for client in record.clients
        if all(frame.payload != record.sentinel for frame in client.frames)
    ]
    if not record.clients:
        return ["there was no client"]
    return [f"the sentinel did not reach {', '.join(late)}"] if late else []


def _vacuity(record: Record) -> list[str]:
    """Why a run without anomalies says nothing, in words; empty where it says something."""
    reasons = []
    missing = Counter(record.planned) - Counter(one.name for one in record.faults if one.fired)
    if missing:
        reasons.append(f"faults that did not fire: {', '.join(sorted(missing))}")
    undone = sorted(set(record.planned_deeds) - {one.name for one in record.deeds})
    if undone:
        reasons.append(f"what no writer did: {', '.join(undone)}")
    if not record.passes and record.watched:
        reasons.append("no pass over the table was seen")
    working = _working(record)
    if not record.writers or len(working) < WORKING_SHARE * len(record.writers):
        reasons.append(f"only {len(working)} of {len(record.writers)} writers worked")
    if not record.in_order and (late := late_commits(record)) < LATE_COMMITS:
        reasons.append(f"only {late} late commits")
    return reasons


def _working(record: Record) -> set[str]:
    """Writers that committed in both halves of the run."""
    ends = [(ended_s, one.writer) for ended_s, one in _timed(record.attempts.values())]
    if not ends:
        return set()
    middle_s = (min(ends)[0] + max(ends)[0]) / 2
    early = {writer for at_s, writer in ends if at_s <= middle_s}
    late = {writer for at_s, writer in ends if at_s > middle_s}
    return early & late & set(record.writers)


def _timed(attempts: Iterable[Attempt]) -> list[tuple[float, Attempt]]:
    """Commits whose end is known, with it."""
    return [
        (one.ended_s, one)
        for one in attempts
        if one.outcome == "committed" and one.ended_s is not None
    ]


def committed(record: Record) -> int:
    """Rows of the writers that were in the table, at the end or when it was truncated."""
    there = {payload for truth in record.truths for payload in truth.rows}
    return sum(
        record.attempts[one].writer in record.writers for one in there & set(record.attempts)
    )


def late_commits(record: Record) -> int:
    """Rows whose commit began after that of a row with a greater id had ended."""
    return sum(_late(record, truth.rows) for truth in record.truths)


def _late(record: Record, rows: Iterable[str]) -> int:
    timed = _timed(record.attempts[one] for one in rows if one in record.attempts)
    by_end = sorted((ended_s, one.row_id) for ended_s, one in timed)
    late = top = done = 0
    for _, attempt in sorted(timed, key=lambda pair: pair[1].began_s):
        while by_end[done][0] < attempt.began_s:
            top = max(top, by_end[done][1])
            done += 1
        late += attempt.row_id < top
    return late


def naive_lost(record: Record) -> int:
    """Rows that the naive poller passed by: below the greatest id that it saw of their history."""
    seen = {one.payload for one in record.naive}
    lost = 0
    for truth in record.truths:
        top = max((truth.rows[one] for one in seen if one in truth.rows), default=0)
        lost += sum(row_id < top and one not in seen for one, row_id in truth.rows.items())
    return lost
