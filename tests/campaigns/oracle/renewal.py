"""A new history of the table in the place of the old one, under everybody's feet.

SQLite and MariaDB leave no other trace of it than lower ids: a worker or a client that is away
until they have passed the old ones is not told. That is a known limit and not tried here, so each
history begins far below the last one's ids: they are 10,000,000 and more, then 1,000,000, then 1.
"""

from typing import Any

from tests.campaigns.oracle.inserts import Inserted, Inserts
from tests.campaigns.oracle.records import Attempt, payload_of
from tests.campaigns.oracle.scene import Scene
from tests.campaigns.oracle.table import DatabaseErrors, Refill, empty, go_on_from
from tests.harness import sql

TRIES = 10
HISTORY_FROM = 10_000_000
RELOADED_TO = 1_000_000
RELOADED_ROWS = 20
LOADER = "loader"


def truncate(scene: Scene) -> None:
    _empty(scene, lambda _: [])


def reload(scene: Scene) -> None:
    """The table is emptied and filled again in one transaction, as a nightly load does."""
    dialect = sql.dialect_of(scene.url)
    inserts = Inserts(dialect, LOADER, scene.random)

    def refill(cursor: Any) -> list[Inserted]:
        new = inserts.plain(cursor, RELOADED_ROWS)
        go_on_from(cursor, dialect, RELOADED_TO)
        return [*new, *inserts.with_id(cursor, RELOADED_TO)]

    _empty(scene, refill)


def _empty(scene: Scene, refill: Refill) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            truth, new = empty(scene.url, refill)
        except DatabaseErrors:  # a deadlock with a writer, say
            if attempt == TRIES:
                raise
        else:
            scene.truths.append(truth)
            scene.told += [
                Attempt(LOADER, payload_of(text), row_id, truth.began_s or 0.0, truth.ended_s,
                        "committed") for row_id, text in new
            ]  # fmt: skip
            return
