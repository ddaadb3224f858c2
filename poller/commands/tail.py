"""`rowcast tail`: a table's rows as they come. `tailing.py` does it; here is what was asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from poller.commands.changing import of_changes, split_names
from poller.commands.layout import coloured
from poller.commands.target import (
    DATABASE,
    Target,
    feeds_here,
    for_a_database,
    settings_of,
)

if TYPE_CHECKING:
    from poller.commands.printers import Printer
    from poller.reading.description import Key
    from poller.runtime.settings import Settings
    from poller.watch import Watch

EXAMPLES = """\b
Examples:
  rowcast tail shop.db orders                 new rows, from now on
  rowcast tail shop.db orders --from 0        all rows, then the new ones
  rowcast tail shop.db orders --from TOKEN    go on where another one ended
  rowcast tail shop.db orders --exit-after 1  wait for one row
  rowcast tail shop.db orders --format json | jq .total
  rowcast tail shop.db orders --version version --deleted deleted_at
"""
STATUS = """\b
Exit status:
  0    N rows were printed (--exit-after), or the reader of the pipe has left
  2    the table cannot be watched, the database cannot be queried at the start,
       or the command is wrong
  3    the table was dropped, truncated or restored, or TOKEN belongs to another
       one: rows that were printed may no longer hold
  130  ended by Ctrl-C
  143  ended by SIGTERM
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Print a table's rows as they are inserted.",
)
@click.argument("arguments", nargs=-1, metavar="[URL] TABLE")
@click.option(
    "--from",
    "start",
    default="now",
    metavar="0|now|TOKEN",
    show_default=True,
    help="Where to begin: at the first row, at the next new one, or where the run that printed "
    "TOKEN ended.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="Aligned columns, a JSON object a line, or CSV with a heading.",
)
@click.option("--columns", metavar="A,B,…", help="Only these columns.")
@click.option(
    "--exit-after", "most", metavar="N", type=click.IntRange(min=1), help="End after N rows."
)
@for_a_database
@of_changes
def tail(
    target: Target,
    arguments: Sequence[str],
    start: str,
    form: str,
    columns: str | None,
    most: int | None,
    key: Key,
    version: str | None,
    deleted: str | None,
) -> None:
    """Print the rows of a table as they are inserted, each once.

    Every committed row is printed as soon as the next poll sees it, also one that commits late. If
    the database is away, tail waits for it and goes on. Where less is promised, standard error says
    so; rowcast doctor says why.

    With --version each change is printed, too: the row as it is then, after a ~, or the key of one
    that was deleted, after a -. In JSON "op" says which, in CSV a column of that name.

    When it ends, it says on standard error how to go on: --from TOKEN begins with the first row
    that was not printed, or that the reader of a pipe did not take.

    If the table is dropped, truncated or restored, --format text says so and goes on with the new
    rows. json and csv, which programs read, end with status 3.
    """
    last_event_id = _last_event_id(start)
    asked = key, split_names(columns) if columns else None, version, deleted
    watch, url, settings = _watch(target, arguments, *asked)
    from poller.commands.tailing import Tailing

    tailing = Tailing(watch, url, settings, last_event_id, _printer(form), most)
    target.context.exit(tailing.run(goes_on=form == "text"))


def _last_event_id(start: str) -> str | None:
    if start == "now":
        return None
    start = start.strip("'")  # as a script may have read it from standard error
    from poller.wire.event_id import parse_last_event_id

    try:
        parse_last_event_id(start)
    except ValueError:
        raise click.BadParameter(
            f"{start!r} is neither 0, nor now, nor a token that an earlier tail printed at its end",
            param_hint="--from",
        ) from None
    return start


def _watch(
    target: Target,
    arguments: Sequence[str],
    key: Key,
    columns: Sequence[str] | None,
    version: str | None,
    deleted: str | None,
) -> tuple[Watch, str, Settings]:
    """What to watch, in which database and how: under `flask rowcast` a feed by its name, as the
    application watches it; any table otherwise."""
    from poller.watch import Watch

    feeds = {} if target.database else feeds_here(target.context)
    if len(arguments) == 1 and (found := feeds.get(arguments[0])) is not None:
        watch = found.feed.watch
        shown = Watch(
            watch.source,
            watch.name,
            key or watch.key,
            columns or watch.columns_to_look,
            version=version or watch.version,
            deleted=deleted or watch.deleted,
        )
        return shown, found.database, found.settings
    url, table = target.url_and_table(arguments)
    watch = Watch.of(table, None, key, columns, None, {}, version, deleted)
    return watch, url, settings_of(target.context)


def _printer(form: str) -> Printer:
    from poller.commands.printers import Aligned, Csv, JsonLines

    if form != "text":
        return JsonLines() if form == "json" else Csv()
    if not sys.stdout.isatty():
        return Aligned(None, coloured=False)
    return Aligned(shutil.get_terminal_size().columns, coloured=coloured() is None)
