"""`make torture`: every database and seed in turn, on private servers; and `make held`.

Prints tables, and writes them to docs/torture.md. Exit status 1 unless every verdict is "pass". The
journals of a run that did not pass are kept, and the story of its first anomalies is told.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.oracle import document, torture
from tests.campaigns.oracle import held as held_open
from tests.campaigns.oracle.checker import ANOMALIES
from tests.campaigns.oracle.document import HeldLine, Line
from tests.campaigns.oracle.held import HeldPlan
from tests.campaigns.oracle.records import Record
from tests.campaigns.oracle.story import stories
from tests.campaigns.oracle.torture import Plan
from tests.campaigns.oracle.verdict import Report, report
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
# A row may wait for so long beside a transaction that stays open; the poll interval is 0.5 s. A
# MariaDB reads all of its gaps at each poll; one as installed has no proof, and is not judged.
LONGEST_WAIT_S = {"postgresql": 1.5, "mariadb-mdl": 2.5}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.oracle", description=__doc__)
    parser.add_argument("--databases", nargs="+", default=DATABASES, choices=DATABASES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each torture")
    parser.add_argument("--hold", type=float, default=120.0, help="seconds; 0: leave that out")
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    given = parser.parse_args(arguments)
    lines: list[Line] = []
    held: list[HeldLine] = []
    for database in given.databases:
        with _server(database) as server:
            for seed in given.seeds:
                plan = Plan(seed, given.seconds)
                record, found = _judged(database, server, plan)
                lines.append(Line(database, seed, given.seconds, len(record.planned), found))
                _say(document.HEAD, str(lines[-1]))
            if server is not None and given.hold:  # on SQLite it would hold up every writer
                held.append(_held_open(database, server, given.hold))
                _say(document.HELD_HEAD, str(held[-1]))
    if given.write:
        given.write.write_text(document.page(lines, held))
    verdicts = [line.report.verdict for line in lines] + [one.held.report.verdict for one in held]
    return 0 if all(verdict == "pass" for verdict in verdicts) else 1


def _judged(database: str, server: DatabaseServer | None, plan: Plan) -> tuple[Record, Report]:
    """One torture and its verdict."""
    with _journals(f"torture-{database}-{plan.seed}-") as (folder, tell):
        url = f"sqlite:///{folder / 'torture.sqlite3'}"
        record = torture.run(server.create_database() if server else url, server, plan, folder)
        found = report(record)
        tell(record, found)
        return record, found


def _held_open(database: str, server: DatabaseServer, hold_s: float) -> HeldLine:
    """What a transaction that stays open does to others."""
    with _journals(f"held-{database}-") as (folder, tell):
        plan = HeldPlan(hold_s=hold_s, longest_wait_s=LONGEST_WAIT_S.get(database))
        found, record = held_open.run(server.create_database(), plan, folder)
        tell(record, found.report)
        return HeldLine(database, found)


@contextmanager
def _journals(prefix: str) -> Iterator[tuple[Path, Callable[[Record, Report], None]]]:
    """A folder for them, which stays unless all is well, and what tells the stories in them."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))

    def tell(record: Record, found: Report) -> None:
        if found.verdict == "pass":
            shutil.rmtree(folder)
            return
        bad = [one for one in found.anomalies if one.kind in ANOMALIES]
        _say("; ".join(found.reasons), f"journals: {folder}", stories(record, bad))

    try:
        yield folder, tell
    except AssertionError:
        _say(f"could not be carried out; journals: {folder}")
        raise


@contextmanager
def _server(database: str) -> Iterator[DatabaseServer | None]:
    """A private server; SQLite has none."""
    if database == SQLITE:
        yield None
        return
    with SERVERS[database]() as server:
        yield server


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
