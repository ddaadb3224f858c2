"""`make soak`: half an hour of clients that come and go; SOAK_MINUTES changes it.

Prints what it found. Exit status 1 when rows were lost or duplicated, when anything stayed of
streams that ended, or when memory grows.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.soak.soak import WARM_UP_S, Plan, run

TOLD_EVERY_S = 1.0
TOLD_TO_A_FILE_EVERY_S = 60.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--path", choices=("fanout", "generator"), default="fanout")
    given = parser.parse_args(arguments)
    plan = Plan(given.minutes * 60, fanout=given.path == "fanout")
    with tempfile.TemporaryDirectory(prefix="rowcast-soak-") as folder:
        report = run(plan, Path(folder), progress())
    broken = report.broken(judge_slope=plan.judges_memory)
    _say("\n".join([f"{given.path}, {given.minutes:g} min", *report.lines(), *broken]))
    if not plan.judges_memory:
        _say(f"memory was not judged: that takes {2 * WARM_UP_S / 60:g} minutes at least")
    _say("broken" if broken else "pass")
    return 1 if broken else 0


def progress() -> Callable[[str], None]:
    """Tells how it goes in one line, or now and then where that is a file."""
    live = sys.stderr.isatty()
    last_s = 0.0

    def tell(text: str) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= (TOLD_EVERY_S if live else TOLD_TO_A_FILE_EVERY_S):
            last_s = time.monotonic()
            sys.stderr.write(f"\r{text}\033[K" if live else f"{text}\n")
            sys.stderr.flush()

    return tell


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
