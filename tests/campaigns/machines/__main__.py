"""`make machines`: each seed in turn. Exit status 1 unless every verdict is "pass"."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.campaigns.machines.run import FAKETIME, FAULTS, Plan, run
from tests.campaigns.oracle.checker import ANOMALIES
from tests.campaigns.oracle.story import stories
from tests.campaigns.oracle.verdict import report
from tests.harness.machines import star
from tests.harness.postgres import Postgres


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.machines", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=3, help=f"of {', '.join(FAULTS)}")
    given = parser.parse_args(arguments)
    verdicts = [_judged(seed, given.rounds) for seed in given.seeds]
    return 0 if all(verdict == "pass" for verdict in verdicts) else 1


def _judged(seed: int, rounds: int) -> str:
    folder = Path(tempfile.mkdtemp(prefix=f"machines-{seed}-"))
    plan = Plan(seed, rounds, clock_ahead=FAKETIME.exists())
    with star(folder, "one", "two") as machines, machines.hub.inside(), Postgres() as database:
        record = run(machines, database, plan, folder)
    found = report(record)
    clock = "one clock 5 minutes ahead" if plan.clock_ahead else "one time (no libfaketime)"
    _say(
        f"seed {seed}, {clock}: {found.verdict}; {found.committed} rows committed, "
        f"{found.late_commits} late, {found.naive_lost} lost by a naive poller; "
        f"{len(record.planned)} faults; {found.counts or 'no anomaly'}"
    )
    if found.verdict == "pass":
        shutil.rmtree(folder)
    else:
        bad = [one for one in found.anomalies if one.kind in ANOMALIES]
        _say("; ".join(found.reasons), f"journals: {folder}", stories(record, bad))
    return found.verdict


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
