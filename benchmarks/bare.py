"""What a poll without news costs this process, beside its driver alone with the same statement.

A program of its own, whose path is a checkout's folder. The database has a table `posts`. It writes
one line of JSON, in µs of CPU. `now` is one after the other, `paced` with a pause before each, as
in a worker: what the processor forgets meanwhile costs more than the work. What the pauses cost
alone is taken off. The three take turns.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from sqlalchemy import Connection  # noqa: E402

from poller.delivery.event_log import EventLog  # noqa: E402
from poller.ids.cursor import Cursor  # noqa: E402
from poller.polling.loop import Poller  # noqa: E402
from poller.reading.database import Database  # noqa: E402
from poller.reading.source import Source  # noqa: E402
from poller.reading.table import Table  # noqa: E402
from poller.runtime.settings import Settings  # noqa: E402

WARM = 200
TURNS = 10
LIMIT = 500

Work = Callable[[], object]


def statement(connection: Connection, cursor: Cursor) -> tuple[str, Any]:
    """What SQLAlchemy gives the driver for a poll."""
    table = Table("posts")
    table.describe(connection)
    told: list[tuple[str, Any]] = []

    def note(_: object, __: object, text: str, values: Any, *___: object) -> None:
        told.append((text, values))

    sa.event.listen(connection, "before_cursor_execute", note)
    table.poll(connection, cursor, LIMIT)
    return told[0]


def bare(connection: Connection, text: str, values: Any) -> Work:
    driver: Any = connection.connection.dbapi_connection

    def execute() -> None:
        cursor = driver.cursor()
        cursor.execute(text, values)
        cursor.fetchall()
        cursor.close()

    return execute


def cost_us(work: Work, times: int, pause_s: float) -> float:
    """CPU of one, of all threads."""
    before = time.process_time()
    for _ in range(times):
        if pause_s:
            gevent.sleep(pause_s)
        work()
    return 1e6 * (time.process_time() - before) / times


def costs(works: dict[str, Work], times: int, pause_s: float) -> dict[str, float]:
    """The least of some turns of each: noise only adds."""
    least = dict.fromkeys(works, float("inf"))
    for _ in range(TURNS):
        for name, work in works.items():
            least[name] = min(least[name], cost_us(work, times, pause_s))
    return {name: least[name] - least["nothing"] for name in works if name != "nothing"}


def main(url: str, in_a_row: int, paced: int, pause_s: float) -> dict[str, dict[str, float]]:
    database, table, settings = Database(url), Table("posts"), Settings()
    log = EventLog(settings.log_capacity_rows, settings.log_capacity_bytes)
    source = Source(table, database, settings)
    polls = Poller("posts", source, log, settings, lambda: True)
    for _ in range(WARM):
        polls.poll()
    engine = sa.create_engine(database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        text, values = statement(connection, log.cursor)
        works: dict[str, Work] = {
            "nothing": lambda: None,
            "driver": bare(connection, text, values),
            "poll": polls.poll,
        }
        found = {
            "now": costs(works, in_a_row // TURNS, 0.0),
            "paced": costs(works, max(1, paced // TURNS), pause_s),
        }
    database.close()
    return found


if __name__ == "__main__":
    costs_us = main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    sys.stdout.write(f"{json.dumps(costs_us)}\n")
