"""Results kept as JSON, and docs/benchmarks.md with its plots made from them.

A case that was not run keeps what it had; each section says when and on what machine it was run
where that differs from the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Figures, Plot

INTRODUCTION = """# Benchmarks

`make bench` (`benchmarks/`) writes this page; `make bench CASES="one-row burst"` runs some of it
again and keeps the rest. All servers are private ones on loopback, each alone while it is
measured. It is the ratios within one run that count: the times are those of one small machine.

## Machine and method

{machine}

- **The same for all**: the row, whose body has 200 bytes, as the same JSON in one event; the load
  client; one worker process where nothing else is said. Rowcast, its `Fanout` or
  (`ROWCAST_FANOUT=false`) the generator that serves where sockets cannot be taken over, is
  `gunicorn app:app` with default settings on SQLite, rows inserted by another process. The floor
  is a bare Python loop `for s in links: s.send(frame)` over non-blocking sockets, with no
  history, heartbeat or slow clients. nchan is Debian's nginx module, rows posted to its
  publisher. flask-sse runs under gunicorn's gevent worker with a Valkey, which counts;
  sse-starlette under uvicorn with uvloop, with a queue for each stream.
- **Server CPU** is user and system time of all processes of the server, master included, from the
  kernel's clock of each process. What the kernel does on loopback to bring the bytes into the
  receiver's buffer is done within the sender's `send()`, and so counts for the server, for all
  alike.
- **Cores**: the server runs on the first core alone (`sched_setaffinity`), the load client and
  the publisher on the others.
- **Memory** is PSS of all processes of the server; buffers of the kernel are not in it.
- **Time** of a row is read from the machine's monotonic clock by the publisher just before the
  insert, and by the load client after `recv()`, on at least 500 streams (burst: 40), or all while
  there are fewer.
- **The load client** (`benchmarks/client.py`) is one epoll loop in a process of its own. It takes
  part in no figure of CPU or memory: a server that sends does not wait for it while sockets take
  what is sent. Where it needs more CPU for a delivery than the server, it is the one that spreads
  latencies; its own CPU and idle share stand beside the figures, and the floor shows what it can
  take.
"""


class Results:
    """`docs/benchmarks/results.json`: for each case its figures, when, on what."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "results.json"
        self.cases: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self.cases = json.loads(self._path.read_text())

    def keep(self, name: str, day: str, machine: dict[str, str], rows: list[Figures]) -> None:
        self.cases[name] = {"day": day, "machine": machine, "rows": rows}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.cases, indent=1, sort_keys=True) + "\n")


def write(
    results: Results,
    cases: Sequence[Case],
    page: Path,
    draw: Callable[[Plot, Path], None] | None,
) -> None:
    """The page, and its plots where `draw` can make them. Cases never run are left out."""
    run = [case for case in cases if case.name in results.cases]
    latest = max((results.cases[case.name] for case in run), key=lambda one: str(one["day"]))
    parts = [INTRODUCTION.format(machine=_machine(latest))]
    parts += [_section(case, results, latest, draw) for case in run]
    page.write_text("\n".join(parts))


def _machine(result: dict[str, Any]) -> str:
    lines = [f"- **{name}**: {value}" for name, value in result["machine"].items()]
    return "\n".join([f"- **run on**: {result['day']}", *lines])


def _section(
    case: Case,
    results: Results,
    latest: dict[str, Any],
    draw: Callable[[Plot, Path], None] | None,
) -> str:
    result = results.cases[case.name]
    try:
        plots, text = case.plots(result["rows"]), case.table(result["rows"]).strip()
    except KeyError as missing:  # kept from a time when the case measured something else
        again = f'`make bench CASES="{case.name}"`'
        lacking = f"The figures that were kept lack {missing}; {again} makes them anew."
        return f"## {case.title}\n\n{lacking}\n"
    parts = [f"## {case.title}", case.method.strip(), text]
    for plot in plots:
        path = results.folder / f"{plot.file}.svg"
        if draw is not None and any(plot.lines.values()):
            draw(plot, path)
        if path.exists():
            parts.append(f"![{plot.title}]({results.folder.name}/{path.name})")
    if result["machine"] != latest["machine"] or result["day"] != latest["day"]:
        parts.append(f"Run on {result['day']}: {', '.join(result['machine'].values())}.")
    return "\n\n".join(parts) + "\n"
