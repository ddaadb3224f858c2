"""The project's gunicorn.conf.py, and in each worker a greenlet that ticks: for benchmarks only.

How late a tick comes is how long the hub was kept from serving anybody else; how much CPU its
thread took meanwhile says whether it was its own doing, or that of somebody else on its core. The
greatest of each quarter of a second go as a line "TIME GAP_MS CPU_MS" into the file TICKS names.
"""

import os
import time
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parents[2]
_SOURCE = _PROJECT / "gunicorn.conf.py"
exec(compile(_SOURCE.read_text(), str(_SOURCE), "exec"), globals())
_theirs = globals()["post_worker_init"]

import gevent

_TICK_S = 0.005
_LINE_S = 0.25


def _tick() -> None:
    with open(os.environ["TICKS"], "a", buffering=1) as ticks:  # noqa: PTH123
        line_due_s, gap_s, cpu_s = time.monotonic() + _LINE_S, 0.0, 0.0
        while True:
            before_s, cpu_before_s = time.monotonic(), time.thread_time()
            gevent.sleep(_TICK_S)
            now_s = time.monotonic()
            gap_s = max(gap_s, now_s - before_s - _TICK_S)
            cpu_s = max(cpu_s, time.thread_time() - cpu_before_s)
            if now_s > line_due_s:
                ticks.write(f"{now_s:.3f} {1000 * gap_s:.2f} {1000 * cpu_s:.2f}\n")
                line_due_s, gap_s, cpu_s = now_s + _LINE_S, 0.0, 0.0


def post_worker_init(worker: Any) -> None:
    _theirs(worker)
    gevent.spawn(_tick)
