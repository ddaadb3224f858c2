"""`make windows`: the oracle of feeds by window, in its long form.

First the engine alone, thousands of runs; then every database and subject, with each seed. Exit
status 1 if a client diverged.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.windows.story import run
from tests.campaigns.windows.subjects import SUBJECTS
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.windows import converged

SERVERS = {"postgresql": Postgres, "mariadb": MariaDB}
DATABASES = ("sqlite", *SERVERS)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.windows", description=__doc__)
    parser.add_argument("--databases", nargs="*", default=DATABASES, choices=DATABASES)
    parser.add_argument("--runs", type=int, default=10_000, help="of the engine alone")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="for each database and subject")
    given = parser.parse_args(arguments)
    diverged = _engine(range(given.first, given.first + given.runs))
    for database in given.databases:
        with _urls(database) as urls:
            for subject in SUBJECTS:
                began_at = time.monotonic()
                wrong = 0
                for seed in range(given.first, given.first + given.seeds):
                    for text in run(next(urls), subject, seed):
                        print(f"seed {seed}: {text}", flush=True)  # noqa: T201
                        wrong += 1
                _say(f"{database}, {subject.name}", given.seeds, wrong, began_at)
                diverged += wrong
    return 1 if diverged else 0


def _engine(seeds: range) -> int:
    began_at = time.monotonic()
    wrong = [seed for seed in seeds if not converged(seed)]
    _say(f"engine alone {wrong[:10] or ''}".rstrip(), len(seeds), len(wrong), began_at)
    return len(wrong)


def _say(what: str, runs: int, diverged: int, began_at: float) -> None:
    took_s = time.monotonic() - began_at
    print(f"{what}: {runs:,} runs, {diverged} diverged, {took_s:.0f} s", flush=True)  # noqa: T201


@contextmanager
def _urls(database: str) -> Iterator[Iterator[str]]:
    """An empty database for each run."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield (f"sqlite:///{Path(folder) / f'{number}.db'}" for number in range(1_000_000))
        return
    with SERVERS[database]() as server:
        yield _fresh(server)


def _fresh(server: Postgres | MariaDB) -> Iterator[str]:
    while True:
        url = server.create_database()
        yield url
        server.drop_database(url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
