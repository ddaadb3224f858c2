"""The table of a torture, and the page docs/torture.md that it stands in."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.campaigns.oracle.checker import ANOMALIES, MERGED
from tests.campaigns.oracle.torture import POLL_INTERVAL_S, WRITERS
from tests.campaigns.oracle.verdict import Delays, Report

HEAD = (
    "| database | seed | rows | late commits | faults | anomalies | naive poller lost | p50 | p99 "
    "| verdict |\n|---|---|---|---|---|---|---|---|---|---|"
)
HELD_HEAD = (
    "| database | open for | p50 before | p99 before | p50 meanwhile | p99 meanwhile | verdict |\n"
    "|---|---|---|---|---|---|---|"
)
PAGE = """# Torture

`make torture` (`tests/campaigns/oracle/`) writes this page. Last run: {seconds:g} s with each seed.

## What it does

{writers} writers, each a process, insert rows into one table for all this time: transactions kept
open for up to 2 s, 15 % of them rolled back, savepoints, several rows in a statement, on PostgreSQL
also an id taken by `nextval` before the insert; now and then a committed row is deleted. Beside
them a transaction on another table stays open. On SQLite, where one writer at a time holds the
lock, transactions last up to 60 ms.

Eight clients read the stream of a server with two workers: two stay, two leave at random (one in
the middle of a frame), one is slow, two hop to and from a server whose worker lags behind, one is
`httpx-sse`. Each comes back with the id of its last complete event.

Meanwhile each of these happens, in an order that the seed gives: the database is restarted, crashes
(`immediate`, `kill -9`), is frozen (SIGSTOP); the network path to it is frozen, is cut; a worker is
killed (`kill -9`), terminated (SIGTERM); the server is reloaded (HUP); the lagging worker is
stopped, and while it stands still the table is truncated and its ids start again; a writer is
killed. On SQLite, instead of those on a database server, another process locks the file.

`mariadb-mdl` is a MariaDB with `performance_schema` and its metadata locks on, `mariadb` one as it
is installed: two fences.

At the end everything is well again, and a last row is written. Every client has to have it within
30 s. Then the journals of all are compared with the table.

## What was found

{table}

- **rows**: committed by the writers, and in the table at the end or when it was truncated. Before
  them it held 100 rows for each second of the torture.
- **late commits**: rows whose commit began after one with a greater id was committed.
- **anomalies**: of the kinds that `tests/campaigns/oracle/checker.py` explains:
  {kinds}.
  A row sent again to a client whose token was too long to name every gap is no anomaly; it would
  stand in brackets.
- **naive poller lost**: rows that `WHERE id > last ORDER BY id` passed by, in the same run, at the
  same interval.
- **p50**, **p99**: of the delay from the end of the commit, as the writer saw it, until the client
  has the row. Counted is each receipt by a client that reads at once, on a connection that was open
  before the commit began, with no fault active from then to the receipt, and not while the writers
  were being started. The poll interval is {interval_ms:.0f} ms; the goal is p50 within it, and p99
  within 150 ms more. The verdict does not judge delays.
- **verdict**: "pass" also says that every fault was seen to take effect, that 95 % of the writers
  committed in both halves of the run, and that there were at least 10 late commits (not on SQLite).

## A transaction that stays open

The same without faults, and with one more writer that keeps its row open while the others go on:

{held}

The database, three workers, ten writers and eight clients shared {processors} processors; a delay
also says how busy they were.
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
            f"{self.faults} | {bad}{merged} | {it.naive_lost:,} | {_ms(it.delays)}",
            it.verdict,
        )
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Held:
    """The delay before and while one writer keeps its transaction open."""

    database: str
    hold_s: float
    before: Delays
    meanwhile: Delays
    report: Report

    def __str__(self) -> str:
        delays = f"{_ms(self.before)} | {_ms(self.meanwhile)}"
        return f"| {self.database} | {self.hold_s:g} s | {delays} | {self.report.verdict} |"


def _ms(delays: Delays) -> str:
    return f"{1000 * delays.p50_s:.0f} ms | {1000 * delays.p99_s:.0f} ms"


def page(lines: Sequence[Line], held: Sequence[Held]) -> str:
    return PAGE.format(
        seconds=lines[0].seconds,
        writers=WRITERS,
        processors=os.cpu_count(),
        table="\n".join([HEAD, *map(str, lines)]),
        kinds=", ".join(ANOMALIES),
        interval_ms=1000 * POLL_INTERVAL_S,
        held="\n".join([HELD_HEAD, *map(str, held)]),
    )
