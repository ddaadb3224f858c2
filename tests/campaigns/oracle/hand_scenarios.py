"""Short stories about who holds which id, in which a certain mistake must show: see `hand.py`."""

from collections.abc import Callable

from tests.campaigns.oracle.hand import RING_ROWS, HandStage
from tests.harness import sql

FAR_ABOVE = 1000
BURNT_PASSES = 20
BURNT_BY_A_PASS = 20  # less than a batch with what it commits


def holder_goes(stage: HandStage) -> None:
    """Two hold a gap; the one that owns the row commits, and the other stays."""
    stage.visitor()
    first, second = stage.transaction(), stage.transaction()
    first.insert()
    second.insert()
    stage.insert()
    stage.poll()
    first.commit()
    stage.poll()
    second.commit()


def connection_goes_on(stage: HandStage) -> None:
    """A connection commits, and begins another transaction before the next pass."""
    stage.visitor()
    transaction = stage.transaction()
    transaction.insert()
    stage.insert()
    stage.poll()
    transaction.commit()
    transaction.insert()
    stage.poll()
    transaction.commit()


def idle_holder_works(stage: HandStage) -> None:
    """One that was seen idle takes another id, and is idle again."""
    stage.visitor()
    transaction = stage.transaction()
    transaction.insert()
    stage.insert()
    stage.poll()
    transaction.insert()
    stage.insert()
    stage.poll()
    transaction.commit()


def locks_are_hidden(stage: HandStage) -> None:
    """`pg_locks` shows nothing, as where a database only speaks PostgreSQL's protocol."""
    stage.visitor()
    transaction = stage.transaction()
    transaction.insert()
    stage.insert()
    stage.poll()
    transaction.commit()


def id_by_hand(stage: HandStage) -> None:
    """A row far above the sequence: those below it are yet to come."""
    stage.visitor()
    stage.insert()
    transaction = stage.transaction()
    transaction.insert_at(FAR_ABOVE)
    transaction.commit()
    stage.poll()
    for _ in range(3):
        stage.insert()
        stage.poll()


def burnt_beside_an_open_transaction(stage: HandStage) -> None:
    """One stays open, and each row that is committed leaves a gap."""
    stage.visitor()
    holder, others = stage.transaction(), stage.transaction()
    holder.insert()
    for _ in range(BURNT_PASSES):
        for _ in range(BURNT_BY_A_PASS):
            others.burn()
            others.insert()
            others.commit()
        stage.poll(1)
    holder.commit()


def page_of_another_history(stage: HandStage) -> None:
    """A client comes back that fell out of the ring, just after the table was filled anew."""
    visitor = stage.visitor()
    stage.insert()
    stage.poll()
    visitor.leave()
    stage.insert(3 * RING_ROWS)
    stage.poll()
    stage.empty()
    stage.insert(2 * RING_ROWS)
    visitor.come()
    stage.poll()


def ids_restart_meanwhile(stage: HandStage) -> None:
    """While a client is away, ids start again under the name that the history had, the worker sees
    it, and rows come beyond what the client has."""
    visitor = stage.visitor()
    stage.insert(3)
    stage.poll()
    visitor.leave()
    stage.empty()
    stage.poll()
    stage.insert(6)
    stage.poll()
    visitor.come()
    stage.poll()


SCENARIOS: dict[str, Callable[[HandStage], None]] = {
    story.__name__: story
    for story in (
        holder_goes,
        connection_goes_on,
        idle_holder_works,
        locks_are_hidden,
        id_by_hand,
        burnt_beside_an_open_transaction,
        page_of_another_history,
        ids_restart_meanwhile,
    )
}
# Which database a story needs, where it is not PostgreSQL.
DATABASE = {"ids_restart_meanwhile": "sqlite"}  # its catalogue tells nothing of a cleared sequence
# What makes the database as a story wants it, before the worker looks at it.
HIDE_LOCKS = "CREATE VIEW public.pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false"
SHADOWED = "?options=-csearch_path%3Dpublic,pg_catalog"


def set_for(scenario: str, url: str) -> str:
    """The url of the database, as the story wants it."""
    if scenario != "locks_are_hidden":
        return url
    sql.execute(url, HIDE_LOCKS)
    return url + SHADOWED
