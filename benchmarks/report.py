"""Results kept as JSON, and docs/benchmarks.md with its plots written from them.

A case that is not run again keeps its figures; its section then says when and on what it was run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.case import Case, Figures
from benchmarks.plot import svg

LINE_CHARS = 100
DIGITS = 4  # significant ones that are kept of a figure

INTRODUCTION = """# Benchmarks

`make bench` writes this page. `make bench CASES="one-row burst"` runs some cases again and keeps
the figures of the others. Every server runs on loopback, alone while it is measured. Compare the
ratios within one run: the times are those of one small machine.

`make bench-compare OTHER=/path/to/another/checkout` runs two versions of Rowcast and the floor side
by side. They take turns, so that noise of the machine hits all of them, and the result is the ratio
of neighbouring turns.

## Machine and method

{machine}

- **The row** is the same for all: a body of 200 bytes, in one event with the same JSON. So is the
  load client. Every server has one worker process unless a section says otherwise.
- **Rowcast** is `gunicorn app:app` with default settings on SQLite; another process inserts the
  rows. **Generator** is Rowcast with `ROWCAST_FANOUT=false`, which is how it serves where sockets
  cannot be taken over from the server.
- **The floor** is a Python loop `for link in links: link.send(frame)` over non-blocking sockets. It
  has no history, no heartbeat and no answer to slow clients.
- **nchan** is Debian's nginx module; rows are posted to its publisher. **sse-starlette** runs under
  uvicorn with uvloop and has a queue for each stream.
- **Server CPU** is user and system time of all processes of the server, from the kernel's clock of
  each process. On loopback the kernel brings bytes into the receiver's buffer within the sender's
  `send()`, so that work counts for the server, for all servers alike.
- **Cores**: the server runs on the first core, the load client and the publisher on the others. A
  server of several workers runs on all of them.
- **Memory** is the PSS of all processes of the server. Kernel buffers are not included.
- **Latency** is read from the machine's monotonic clock: by the publisher just before it sends the
  row, and by the load client after `recv()`, on at least 500 streams (burst: 40), or on all streams
  while there are fewer.
- **The load client** (`benchmarks/client.py`) is an epoll loop in a process of its own. It is not
  part of any CPU or memory figure. Where it needs more CPU per delivery than the server, it is what
  spreads the latencies; the floor shows what it can take.
"""


class Results:
    """`docs/benchmarks/results.json`: the figures of each case, when and on what machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "results.json"
        self.cases: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self.cases = json.loads(self._path.read_text())

    def keep(self, name: str, day: str, machine: dict[str, str], rows: list[Figures]) -> None:
        """Replaces what was kept of this case."""
        rounded = [{key: _rounded(value) for key, value in row.items()} for row in rows]
        self.cases[name] = {"run on": {"day": day, **machine}, "rows": rounded}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(_text(self.cases))


def write(results: Results, cases: Sequence[Case], page: Path) -> None:
    """The page and its plots. Cases that were never run are left out."""
    run = [case for case in cases if case.name in results.cases]
    latest = max(
        (results.cases[case.name]["run on"] for case in run), key=lambda at: str(at["day"])
    )
    machine = "\n".join(f"- **{name}**: {value}" for name, value in latest.items())
    sections = [_section(case, results, latest) for case in run]
    page.write_text("\n".join([INTRODUCTION.format(machine=machine), *sections]))


def _section(case: Case, results: Results, latest: dict[str, str]) -> str:
    kept = results.cases[case.name]
    try:
        plots, text = case.plots(kept["rows"]), case.table(kept["rows"]).strip()
    except KeyError as missing:  # kept when the case measured something else
        again = f'`make bench CASES="{case.name}"`'
        return f"## {case.title}\n\nThe kept figures lack {missing}. Run {again}.\n"
    parts = [
        f"## {case.title}",
        fill(case.method.strip(), LINE_CHARS, break_on_hyphens=False),
        text,
    ]
    for plot in plots:
        if any(plot.lines.values()):
            path = results.folder / f"{plot.file}.svg"
            path.write_text(svg(plot))
            parts.append(f"![{plot.title}]({results.folder.name}/{path.name})")
    if kept["run on"] != latest:
        parts.append(f"Run on {', '.join(kept['run on'].values())}.")
    return "\n\n".join(parts) + "\n"


def _rounded(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _text(cases: dict[str, dict[str, Any]]) -> str:
    """JSON with one line for each row of figures, so that a change is easy to read."""
    sections = []
    for name, kept in sorted(cases.items()):
        rows = ",\n  ".join(json.dumps(row, sort_keys=True) for row in kept["rows"])
        about = json.dumps(kept["run on"])
        sections.append(f'{json.dumps(name)}: {{"run on": {about},\n "rows": [\n  {rows}\n ]}}')
    return "{\n" + ",\n".join(sections) + "\n}\n"
