"""`make torture`: every database and seed in turn, on private servers.

Prints a table and writes it to docs/torture.md. Exit status 1 unless every verdict is "pass". The
journals of a run that did not pass are kept, and the story of its first anomalies is told.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.oracle import document
from tests.campaigns.oracle.document import Held, Line
from tests.campaigns.oracle.records import Record
from tests.campaigns.oracle.story import stories
from tests.campaigns.oracle.torture import Plan, run
from tests.campaigns.oracle.verdict import Report, delays, report
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.server import DatabaseServer

SQLITE = "sqlite"
SERVERS: dict[str, Callable[[], Postgres | MariaDB]] = {
    "postgresql": Postgres,
    "mariadb": MariaDB,
    "mariadb-mdl": lambda: MariaDB(*METADATA_LOCKS),  # one that shows its metadata locks
}
DATABASES = (*SERVERS, SQLITE)
HOLD_S = 30.0
BEFORE_HOLD_S = 20.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.oracle", description=__doc__)
    parser.add_argument("--databases", nargs="+", default=DATABASES, choices=DATABASES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each torture")
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    given = parser.parse_args(arguments)
    lines: list[Line] = []
    held: list[Held] = []
    _say(document.HEAD)
    for database in given.databases:
        with _server(database) as server:
            for seed in given.seeds:
                plan = Plan(seed, given.seconds)
                record, found = _judged(database, server, plan)
                lines.append(Line(database, seed, given.seconds, len(record.planned), found))
                _say(str(lines[-1]))
            if database != SQLITE:  # where one who holds a transaction open holds up every writer
                held.append(_held_open(database, server))
                _say(str(held[-1]))
    if given.write:
        given.write.write_text(document.page(lines, held))
    verdicts = [line.report.verdict for line in lines] + [one.report.verdict for one in held]
    return 0 if all(verdict == "pass" for verdict in verdicts) else 1


def _held_open(database: str, server: DatabaseServer | None) -> Held:
    """The delay before and while one writer keeps its transaction open."""
    plan = Plan(0, BEFORE_HOLD_S + HOLD_S, faults=False, hold_s=HOLD_S)
    record, found = _judged(database, server, plan)
    ends_s = next(one.began_s for one in record.attempts.values() if one.writer == "holder")
    begins_s = ends_s - HOLD_S
    before = delays(record, before_s=begins_s)
    return Held(database, HOLD_S, before, delays(record, begins_s, ends_s), found)


def _judged(database: str, server: DatabaseServer | None, plan: Plan) -> tuple[Record, Report]:
    """One torture and its verdict."""
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{database}-{plan.seed}-"))
    url = f"sqlite:///{folder / 'torture.sqlite3'}"
    if isinstance(server, Postgres | MariaDB):
        url = server.create_database()
    try:
        record = run(url, server, plan, folder)
    except AssertionError:
        _say(f"could not be carried out; journals: {folder}")
        raise
    found = report(record)
    if found.verdict == "pass":
        shutil.rmtree(folder)
    else:
        _say(f"{'; '.join(found.reasons)}\njournals: {folder}")
        _say(stories(record, found.anomalies))
    return record, found


@contextmanager
def _server(database: str) -> Iterator[DatabaseServer | None]:
    """A private server; SQLite has none."""
    if database == SQLITE:
        yield None
        return
    with SERVERS[database]() as server:
        yield server


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
