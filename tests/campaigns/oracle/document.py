"""The table of a torture, and the page docs/torture.md that it stands in."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.campaigns.oracle.checker import ANOMALIES, MERGED
from tests.campaigns.oracle.delays import Delays
from tests.campaigns.oracle.held import Held
from tests.campaigns.oracle.torture import (
    HISTORY_ROWS_PER_SECOND,
    LONGEST_WAIT_S,
    POLL_INTERVAL_S,
    WRITERS,
)
from tests.campaigns.oracle.verdict import Report

HEAD = (
    "| database | seed | rows | late commits | faults | anomalies | late | naive poller lost | p50 "
    "| p99 | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
HELD_HEAD = (
    "| database | open for | gaps | p50 before | longest | meanwhile | longest | after | longest "
    "| /healthz p99 | hub blocked | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)
PAGE = """# Torture

`make torture` (`tests/campaigns/oracle/`) writes this page. The last run took {seconds:g} s for
each seed.

## What it does

{writers} writers, each a process, insert rows into one table all the time. Their transactions
stay open for up to 2 s, and 15 % are rolled back. They use savepoints, several rows in a
statement, inserts that skip or update a row that is there, and, on PostgreSQL, an id taken by
`nextval` before the insert. The newest rows are deleted and replaced by others. On SQLite, where
one writer at a time holds the lock, transactions last up to 60 ms.

Beside them one process burns 20 ids a second. Every 4 s it also inserts up to 400 rows in one
statement, and every second it makes the ids jump: by 100,000 on PostgreSQL, and by 100 on the
others. Another one inserts a row at the beginning and commits it at the end. A third keeps a
transaction open on another table. On SQLite those two keep a snapshot open.

Nine clients read from a server with two workers. Two stay, two leave at random (one in the middle
of a frame), one is slow, two go back and forth between it and a server whose worker lags behind,
one is `httpx-sse`, and one asks `/rows` instead. Each comes back with the id of its last complete
event.

Meanwhile each of these happens, in an order that depends on the seed. The database is restarted,
is made to crash (`immediate`, `kill -9`), and is frozen (SIGSTOP). The network path to it is
frozen, and cut. A worker is killed (`kill -9`), another terminated (SIGTERM). The server is
reloaded (HUP). Polling is stopped and started in every worker. The table is emptied, its ids start
again, and it is filled with other rows, all in one step. The lagging worker is stopped, and
meanwhile the table is truncated. A writer is killed. On SQLite there is no database server to
break: another process locks the file instead.

`mariadb-mdl` is a MariaDB with `performance_schema` and its metadata locks on. `mariadb` is one
as it is installed. They use different fences.

At the end everything works again, and a last row is written. Every client must have it within
30 s. Then the journals of all clients are compared with the table.

## What was found

{table}

- **rows**: committed by the writers, and in the table at the end or when it was emptied. Before
  the torture the table held {history} rows for each of its seconds.
- **late commits**: rows whose commit began after one with a greater id was committed.
- **anomalies**: the kinds that `tests/campaigns/oracle/checker.py` explains, which are {kinds}. A
  row that is sent again because the client's token was too long to name every gap is not an
  anomaly. Such rows would be shown in brackets.
- **late**: rows that were delayed though nothing was in their way. By the facts: two passes of a
  worker's poller or more began after the commit, read all that there was, and left the row out.
  By the clock: a client that reads at once had the row more than {late_ms:.0f} ms after the
  commit, which is two polls and 250 ms, and no fault was active. What a busy machine took is not
  counted: processes that do nothing but wait measure it. In brackets: how many receipts were too
  late and are excused by that. Many of them mean that the machine was too busy to say much.
- **naive poller lost**: rows that `WHERE id > last ORDER BY id` passed by, in the same run, at
  the same interval.
- **p50**, **p99**: the delay from the end of the commit, as the writer saw it, until the client
  has the row. Each receipt counts if the client reads at once, its connection was open before the
  commit began, no fault was active from then to the receipt, and all writers had been started.
  What the machine took is part of it. The poll interval is {interval_ms:.0f} ms.
- **verdict**: "pass" also means that every fault was seen to take effect, that the writers did
  everything described above, that 95 % of them committed in both halves of the run, and that there
  were at least 10 late commits (not on SQLite).

## A transaction that stays open

`make held` runs this alone. One transaction inserts a row and stays open. Beside it 150 rows a
second are committed, each with an id that is burnt: gaps that nobody can call dead, unless it
is known that the open transaction does not own them. Twenty clients come back every 5 s, and
`/healthz` is asked ten times a second. The poll interval is 500 ms. "After" is the minute after
the transaction has ended.

{held}

- **longest**: the longest delay of a row, as above. The verdict allows 1,500 ms on PostgreSQL and
  2,500 ms on `mariadb-mdl`, without what the machine took. It does not judge `mariadb`, which has
  no proof that an id is dead and waits 5 s for each.
- **hub blocked**: the longest time for which the worker could do nothing else, without what the
  machine took.

The database, the workers, the writers and the clients shared {processors} processors. A delay also
depends on how busy they were.
"""


@dataclass(frozen=True)
class Line:
    """One torture."""

    database: str
    seed: int
    seconds: float
    faults: int
    report: Report

    def __str__(self) -> str:
        it = self.report
        bad = sum(it.counts.get(kind, 0) for kind in ANOMALIES)
        merged = f" ({it.counts[MERGED]})" if MERGED in it.counts else ""
        cells = (
            f"{self.database} | {self.seed} | {it.committed:,} | {it.late_commits:,}",
            f"{self.faults} | {bad}{merged} | {_late(it)} | {it.naive_lost:,}",
            f"{_ms(it.delays)} | {it.verdict}",
        )
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class HeldLine:
    """A transaction that stays open."""

    database: str
    held: Held

    def __str__(self) -> str:
        it = self.held
        cells = [self.database, f"{it.plan.hold_s:g} s", f"{it.gaps:,}"]
        cells += [
            f"{1000 * one.p50_s:.0f} | {1000 * one.longest_s:.0f} ms"
            for one in (it.before, it.meanwhile, it.after)
        ]
        cells += [f"{1000 * it.healthz_p99_s:.0f} ms", f"{1000 * it.blocked_s:.0f} ms"]
        return f"| {' | '.join([*cells, it.report.verdict])} |"


def _late(it: Report) -> str:
    return f"{len(it.late)} ({it.excused:,})" if it.excused else f"{len(it.late)}"


def _ms(delays: Delays) -> str:
    return f"{1000 * delays.p50_s:.0f} ms | {1000 * delays.p99_s:.0f} ms"


def page(lines: Sequence[Line], held: Sequence[HeldLine]) -> str:
    return PAGE.format(
        seconds=lines[0].seconds,
        writers=WRITERS,
        processors=os.cpu_count(),
        table="\n".join([HEAD, *map(str, lines)]),
        kinds=", ".join(ANOMALIES),
        interval_ms=1000 * POLL_INTERVAL_S,
        late_ms=1000 * LONGEST_WAIT_S,
        history=HISTORY_ROWS_PER_SECOND,
        held="\n".join([HELD_HEAD, *map(str, held)]),
    )
