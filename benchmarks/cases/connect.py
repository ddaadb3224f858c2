"""What a connect costs: from accept to the first bytes of the body, next to a bare function."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.case import Bench, Case, Figures, folder
from benchmarks.contenders.opening import Opening
from benchmarks.load import Load
from benchmarks.measure import cpu_s
from benchmarks.plan import FULL
from benchmarks.tables import figure, left_out, measured, ratio, table
from tests.harness.sse import Stream

# As Firefox asks for a stream, besides the usual ones.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/",
    "Connection: keep-alive",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
    "Pragma: no-cache",
    "Cache-Control: no-cache",
)
WARM_STREAMS = 200  # opened before the clock is read: what the first ones load is no stream's
BARE = "bare function"


@dataclass(frozen=True)
class Side:
    """One application of `opening_apps.py`, and how its streams are asked for."""

    app: str
    path: str = "/stream"
    worker: str = "poller.Worker"
    header: str = ""
    resumes: bool = False
    parser: str = "auto"


SIDES = {
    BARE: Side("function"),
    f"{BARE}, gevent worker": Side("function", worker="gevent"),
    "Flask's view": Side("view"),
    "Rowcast": Side("rowcast", "/stream/public"),
    "Rowcast, resumes": Side("rowcast", "/stream/public", resumes=True),
    "Rowcast, filtered": Side("rowcast", "/stream/public?author=bench"),
    "Rowcast, authorised": Side("rowcast", "/stream/private", header="Authorization: me"),
}
METHOD = f"""
CPU of the worker from accept to the first bytes of the body, of {FULL.connect_streams:,} streams
that requests of a browser open and that stay; the median of {FULL.connect_rounds} rounds, in each
of which every server is started afresh. The **bare function** is WSGI without a framework: it
writes the head and one frame, and then waits, under our worker or under gunicorn's own. **Flask's
view** does the same with Flask. A stream of Rowcast that **resumes** sends a `Last-Event-ID`; one
that is **filtered** asks for the rows of one author; for one that is **authorised** the application
is called, and grants some rows, with a tag.
"""


def run(bench: Bench) -> Iterator[Figures]:
    """Rounds are taken in turns, so that noise of the machine hits all sides alike."""
    chosen = [name for name in SIDES if name in bench.plan.contenders] or list(SIDES)
    found: dict[str, list[Figures]] = {name: [] for name in chosen}
    for number in range(bench.plan.connect_rounds):
        for name in chosen[:: -1 if number % 2 else 1]:
            found[name] += bench.guarded((name,), lambda name: _opened(bench, SIDES[name]))
    for name, rows in found.items():
        bad = [row for row in rows if "connect_us" not in row]
        costs = [row["connect_us"] for row in rows if "connect_us" in row]
        yield bad[0] if bad else {"contender": name, "connect_us": statistics.median(costs),
                                  "least_us": min(costs), "most_us": max(costs)}  # fmt: skip


def _opened(bench: Bench, side: Side) -> Iterator[Figures]:
    with folder() as place, Opening(place, side.app, side.worker, side.parser) as server:
        url = f"http://127.0.0.1:{server.port}{side.path}"
        headers = [*BROWSER, *filter(None, [side.header])]
        if side.resumes:
            headers.append(f"Last-Event-ID: {_first_id(url)}")
        with Load(url, headers=headers) as load:
            load.open(min(WARM_STREAMS, bench.plan.connect_streams))
            before = cpu_s(server.pids())
            load.open(bench.plan.connect_streams)
            cpu = cpu_s(server.pids()) - before
            yield {"connect_us": 1e6 * cpu / bench.plan.connect_streams}


def _first_id(url: str) -> str:
    with Stream(url) as stream:
        stream.wait_open()
        return stream.last_event_id


def _table(rows: list[Figures]) -> str:
    cost = {row["contender"]: row["connect_us"] for row in measured(rows)}
    lines = [
        (
            row["contender"],
            figure(row["connect_us"], "µs"),
            f"{row['least_us']:.0f} – {row['most_us']:.0f} µs",
            ratio(row["connect_us"], cost.get(BARE)),
        )
        for row in measured(rows)
    ]
    return table(("", "CPU per connect", "of all rounds", "of the bare function"), lines) + (
        "\n" + left_out(rows)
    )


CASE = Case(name="connect", title="Cost of a connect", method=METHOD, run=run, table=_table)
