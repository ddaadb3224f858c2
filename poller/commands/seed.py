"""`rowcast seed`: posts for the example wall, so that there is something to see.

It knows the wall by its table alone, `posts` with the columns `author` and `body`, and finds that
in the database as any other program would.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import click

from poller.commands.target import DATABASE, NotDone, Target, for_a_database, settings_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from poller.reading.database import Database

clock, pause = time.monotonic, time.sleep
TABLE, COLUMNS = "posts", ("author", "body")
HOW_TO_MAKE_IT = (
    "it belongs to the example wall, which creates it when it is first served: make run, in a clone"
)
EXAMPLES = """\b
Examples:
  rowcast seed instance/rowcast.db
  rowcast seed postgresql://ann@db.example/wall --rate 200 --count 5000
"""
STATUS = """\b
Exit status:
  0  the posts were written
  2  they could not be
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Write posts into the table of the example wall.",
)
@click.argument("url", required=False)
@click.option(
    "--rate",
    default=20.0,
    show_default=True,
    metavar="N",
    type=click.FloatRange(min=0, max=10_000, min_open=True),
    help="Posts a second.",
)
@click.option(
    "--count",
    default=500,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="How many posts.",
)
@for_a_database
def seed(target: Target, url: str | None, rate: float, count: int) -> None:
    """Write believable posts into the table of the example wall.

    Each is a transaction of its own. It writes into the table posts, and only into its columns
    author and body.
    """
    where = target.url(url)
    timeout_s = settings_of(target.context).query_timeout_s
    from poller.doctor import only_to_read, why
    from poller.reading.database import Database
    from poller.reading.description import TableError

    try:
        from sqlalchemy.engine import make_url

        only_to_read(make_url(where))  # a file that is missing is not made
        database = Database(where, query_timeout_s=timeout_s)
        try:
            _write(database, rate, count)
        finally:
            database.close()
    except TableError as error:
        raise NotDone(str(error)) from None
    except click.ClickException:
        raise
    except Exception as error:
        raise NotDone(f"the posts could not be written: {why(error)}") from error


def _write(database: Database, rate: float, count: int) -> None:
    from poller.commands.posts import posts

    table = database.read(_posts_table)
    began_at = clock()
    label = f"{count:,} posts, {rate:g} a second"
    with click.progressbar(posts(count, random.Random()), count, label=label) as bar:
        for number, post in enumerate(bar):
            pause(max(0.0, began_at + number / rate - clock()))
            _insert(database, table, post)


def _posts_table(connection: sa.Connection) -> sa.Table:
    """Raises NotDone if it is not there, or not the wall's."""
    import sqlalchemy as sa
    from sqlalchemy.exc import NoSuchTableError

    try:
        table = sa.Table(TABLE, sa.MetaData(), autoload_with=connection, resolve_fks=False)
    except NoSuchTableError:
        raise NotDone(f"there is no table {TABLE}: {HOW_TO_MAKE_IT}") from None
    if missing := [name for name in COLUMNS if name not in table.c]:
        raise NotDone(f"{TABLE} has no column {missing[0]}: {HOW_TO_MAKE_IT}")
    return table


def _insert(database: Database, table: sa.Table, post: dict[str, str]) -> None:
    import sqlalchemy as sa

    database.write(lambda connection: connection.execute(sa.insert(table).values(**post)))
