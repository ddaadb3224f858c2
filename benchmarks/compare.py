"""Two checkouts of Rowcast side by side in one run: what did a change of the code cost?

Each round restarts both, and the floor. Within a round they take short turns, in alternating
order, so that whatever else the machine does hits all alike. A ratio is that of two turns next to
each other; its median counts, and the middle half of the ratios shows the noise. Comparing a
checkout with itself shows what noise alone gives.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.case import Bench, folder
from benchmarks.cases import burst, one_row
from benchmarks.contenders import Contender, Floor, Rowcast
from benchmarks.load import Load
from benchmarks.machine import PROJECT, commit
from benchmarks.measure import pss_bytes
from benchmarks.tables import figure, table

THIS, OTHER, FLOOR = "this", "other", "floor"
# A fifth of the streams is open before memory is first read. By then the garbage collector has run
# and the worker has its own copies of the pages that it shared with the master: some 12 MB, which
# would otherwise count as memory of streams in one run and not in the next.
WARM_PART = 5
FIGURES = {  # title and unit, in the order of the table
    "cpu_us": ("CPU per delivery", "µs"),
    "memory_kb": ("memory per stream", "KB"),
    "per_cpu_s": ("burst, deliveries per CPU second", ""),
    "p99_ms": ("burst, p99", "ms"),
}

Samples = dict[str, dict[str, list[float]]]  # figure -> side -> one value for each turn
Sides = dict[str, tuple[Contender, Load]]


def one_row_round(bench: Bench, sides: Sides, samples: Samples) -> None:
    """Memory of the streams while they open; then CPU of rows that are sent one by one."""
    plan = bench.plan
    warm = plan.compare_streams // WARM_PART
    for _, load in sides.values():
        load.open(warm)
    for name, (server, load) in sides.items():
        base = pss_bytes(server.pids())
        load.open(plan.compare_streams - warm)
        grown = pss_bytes(server.pids()) - base
        samples["memory_kb"][name].append(grown / 1024 / (plan.compare_streams - warm))
    for name, server, load in turns(bench, sides):
        figures = one_row.rounds(server, load, least=plan.compare_rows)
        samples["cpu_us"][name].append(figures["cpu_us"])


def burst_round(bench: Bench, sides: Sides, samples: Samples) -> None:
    """Many rows a second; fewer to the floor, which could not take them."""
    plan = bench.plan
    for _, load in sides.values():
        load.open(plan.burst_streams)
    for name, server, load in turns(bench, sides):
        per_s = plan.compare_floor_rows_per_s if name == FLOOR else plan.burst_rows_per_s
        figures = burst.flow(server, load, per_s, plan.compare_burst_s, plan.settle_s)
        missing = figures["undelivered"]
        assert name == FLOOR or not missing, f"{missing} deliveries missing from {name}"
        for key in ("per_cpu_s", "p99_ms"):
            samples[key][name].append(figures[key])


CASES: dict[str, Callable[[Bench, Sides, Samples], None]] = {
    "one-row": one_row_round,
    "burst": burst_round,
}


def turns(bench: Bench, sides: Sides) -> Iterator[tuple[str, Contender, Load]]:
    """Each side once in a turn, in the opposite order in every other turn."""
    for number_of_turn in range(bench.plan.compare_turns):
        for name in list(sides)[:: -1 if number_of_turn % 2 else 1]:
            yield name, *sides[name]


def compare(bench: Bench, other: Path, case: str, rounds: int) -> str:
    """A Markdown table of the case's figures."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    for number_of_round in range(rounds):
        bench.say(f"round {number_of_round + 1} of {rounds}")
        with started(other, reverse=bool(number_of_round % 2)) as sides:
            CASES[case](bench, sides, samples)
    lines = [_line(title, unit, samples[key]) for key, (title, unit) in FIGURES.items()
             if key in samples]  # fmt: skip
    heads = (case, f"this ({commit(PROJECT)})", f"other ({commit(other)})", "this / other",
             "middle half", "pairs", "this / floor", "other / floor")  # fmt: skip
    return table(heads, lines)


@contextmanager
def started(other: Path, *, reverse: bool) -> Iterator[Sides]:
    """Both checkouts and the floor, each with a load client of its own."""
    with ExitStack() as stack:
        places = {name: stack.enter_context(folder()) for name in (THIS, OTHER, FLOOR)}
        servers: dict[str, Contender] = {
            THIS: Rowcast(places[THIS]),
            OTHER: Rowcast(places[OTHER], checkout=other),
            FLOOR: Floor(places[FLOOR]),
        }
        order = (OTHER, THIS, FLOOR) if reverse else (THIS, OTHER, FLOOR)
        running = {name: stack.enter_context(servers[name]) for name in order}
        yield {
            name: (server, stack.enter_context(Load(server.url, burst.SAMPLED_STREAMS)))
            for name, server in running.items()
        }


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Of each pair of turns; a pair without a base has none."""
    return [one / base for one, base in zip(above, below, strict=True) if base > 0]


def middle(values: list[float], digits: int) -> str:
    """The median; a dash where there is no value."""
    return f"{statistics.median(values):.{digits}f}" if values else "–"


def middle_half(values: list[float], digits: int) -> str:
    """From the first to the third quartile; a dash where there are no two values."""
    if len(values) < 2:
        return "–"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.{digits}f} – {high:.{digits}f}"


def _line(title: str, unit: str, samples: dict[str, list[float]]) -> tuple[object, ...]:
    this, other, floor = (samples[name] for name in (THIS, OTHER, FLOOR))
    pairs = ratios(this, other)
    return (
        title,
        *(figure(statistics.median(side), unit) for side in (this, other)),
        middle(pairs, 3),
        middle_half(pairs, 3),
        len(pairs),
        *(middle(ratios(side, floor), 2) for side in (this, other)),
    )
