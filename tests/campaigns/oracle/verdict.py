"""The verdict on one run: pass, fail, vacuous or unknown. Pure, no I/O.

| verdict | when |
|---|---|
| fail | there is an anomaly |
| unknown | a client did not see the sentinel in time, or the journals contradict the table |
| vacuous | nothing was wrong, but too little was tried to say so |
| pass | none of these |

A run is vacuous unless every planned fault was seen to take effect, 95 % of the writers committed
in the first and in the second half of it, and 10 rows were committed late: after a row with a
greater id of another transaction (not where the database has one writer at a time).
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from tests.campaigns.oracle.checker import ANOMALIES, Anomaly, anomalies, contradictions
from tests.campaigns.oracle.records import Attempt, ClientRecord, Record

WORKING_SHARE = 0.95
LATE_COMMITS = 10
# A fault counts as active until this long after the servers were ready again: what was held up by
# it is then delivered.
RECOVERY_S = 1.0

Verdict = Literal["pass", "fail", "unknown", "vacuous"]


class Delays(Struct, frozen=True):
    """Seconds from the end of a commit, as its writer saw it, to a client that has the row.

    Counted is each receipt of a committed row by a client that reads at once, on a connection whose
    first frame came before the commit began, where no fault was active between the begin of the
    commit and the receipt.
    """

    count: int
    p50_s: float
    p99_s: float


class Report(Struct, frozen=True):
    verdict: Verdict
    reasons: list[str]
    anomalies: list[Anomaly]
    counts: dict[str, int]  # anomalies by kind, and what is counted beside them
    committed: int
    late_commits: int
    naive_lost: int
    delays: Delays


def report(record: Record) -> Report:
    """The verdict and the figures of one run."""
    found = anomalies(record)
    counts = Counter(one.kind for one in found)
    bad = [f"{counts[kind]} {kind}" for kind in ANOMALIES if counts[kind]]
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
    working = _working(record)
    if not record.writers or len(working) < WORKING_SHARE * len(record.writers):
        reasons.append(f"only {len(working)} of {len(record.writers)} writers worked")
    if not record.one_writer_at_a_time and (late := late_commits(record)) < LATE_COMMITS:
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


def delays(record: Record, after_s: float = 0.0, before_s: float = float("inf")) -> Delays:
    """Of rows whose commit began in the given time; see `Delays` for what is counted."""
    waits = sorted(
        wait
        for client in record.clients
        for began_s, wait in _waits(record, client)
        if after_s <= began_s < before_s
    )
    if not waits:
        return Delays(0, 0.0, 0.0)
    return Delays(len(waits), waits[len(waits) // 2], waits[int(len(waits) * 0.99)])


def _waits(record: Record, client: ClientRecord) -> Iterable[tuple[float, float]]:
    """(begin of the commit, delay) of each receipt that counts."""
    prompt = {one.number for one in client.connections if one.prompt}
    open_since: dict[int, float] = {}
    for frame in client.frames:
        since = open_since.setdefault(frame.connection, frame.at_s)
        attempt = record.attempts.get(frame.payload)
        if attempt is None or frame.kind != "row" or frame.connection not in prompt:
            continue
        if attempt.ended_s is None or attempt.outcome != "committed" or since > attempt.began_s:
            continue
        if _is_calm(record, attempt.began_s, frame.at_s):
            yield attempt.began_s, frame.at_s - attempt.ended_s


def _is_calm(record: Record, began_s: float, ended_s: float) -> bool:
    return all(
        ended_s < fault.began_s or began_s > fault.ended_s + RECOVERY_S for fault in record.faults
    )
