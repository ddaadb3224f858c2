"""`rowcast watch`: tables live, in a page. `poller/watching/` is the page and its server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poller.commands.changing import MAX_WINDOW_ROWS, split_names
from poller.commands.target import (
    DATABASE,
    NotDone,
    OwnProcess,
    Target,
    for_a_database,
    settings_of,
)

if TYPE_CHECKING:
    from poller.runtime.settings import Settings
    from poller.watching.tables import Tables

EXAMPLES = """\b
Examples:
  rowcast watch shop.db                          choose from all tables
  rowcast watch shop.db orders payments          two tables, in tabs
  rowcast watch shop.db orders --columns id,total
  rowcast watch postgresql://ann@db.example/shop orders --port 8080
"""
STATUS = """\b
Exit status:
  0  ended by Ctrl-C or SIGTERM
  2  the table cannot be watched, the database cannot be queried at the start,
     the port is taken, or the command is wrong
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Show tables live, in a page of your browser.",
)
@click.argument("arguments", nargs=-1, metavar="[URL] [TABLE]...")
@click.option("--columns", metavar="A,B,…", help="Only these columns, of one table.")
@click.option("--key", metavar="COLUMN", help="The key of one table, if not the primary.")
@click.option(
    "--window",
    metavar="N",
    type=click.IntRange(1, MAX_WINDOW_ROWS),
    help="Show the newest N rows of one table with all their changes. Chosen by itself, with 200, "
    "where there is no integer key.",
)
@click.option("--order-by", metavar="COLUMN", help="With --window: which rows are the newest.")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=0,
    help="The page's port. Without it, or with 0, one that is free.",
)
@for_a_database
def watch(
    target: Target,
    arguments: Sequence[str],
    columns: str | None,
    key: str | None,
    window: int | None,
    order_by: str | None,
    port: int,
) -> None:
    """Show tables in a page, with each new row as it is committed; by window, with each change.
    Without TABLE the page lists all tables and views, and what is promised of each, to choose from.

    The page is for you alone: it is served on 127.0.0.1, and the address that is printed opens
    once, in one browser. Nothing is written to the database.
    """
    where, names = _url_and_tables(target, arguments)
    given = {"--columns": columns, "--key": key, "--window": window, "--order-by": order_by}
    if any(given.values()) and len(names) != 1:
        raise click.UsageError(f"{', '.join(given)} are for one table: name it, and no other")
    if not target.context.find_object(OwnProcess):
        _become_own_program(where, names, {**given, "--port": port})
    asked = _names(key), _names(columns), window, order_by
    _run(where, _tables(where, settings_of(target.context), names, *asked), port)


def _names(text: str | None) -> Sequence[str] | None:
    return split_names(text) if text else None


def _url_and_tables(target: Target, arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The first argument is the URL if it looks like one, names a file, or nothing else says which
    database it is."""
    if not arguments:
        return target.url(None), []
    first, *others = arguments
    said = target.database or os.environ.get("DATABASE_URL")
    in_application = not target.context.find_object(OwnProcess)
    if "://" in first or (not target.database and Path(first).is_file()):
        return target.url(first), others
    if said or in_application:
        return target.url(None), arguments
    return target.url(first), others


def _tables(
    url: str,
    settings: Settings,
    names: Sequence[str],
    key: Sequence[str] | None,
    columns: Sequence[str] | None,
    window: int | None,
    order_by: str | None,
) -> Tables:
    """Those that were named were read once. Raises NotDone."""
    from sqlalchemy.exc import SQLAlchemyError

    from poller.commands.first import poll_first
    from poller.doctor import why
    from poller.inventory import CannotBeAsked
    from poller.reading.description import TableError
    from poller.watching.tables import Tables

    try:
        one = key[0] if key and len(key) == 1 else key
        tables = Tables(url, settings, names, one, columns, window, order_by)
    except (ValueError, ImportError, SQLAlchemyError, TableError) as error:
        raise NotDone(why(error)) from None
    try:
        for feed in tables.open_named():
            poll_first(feed, url, settings)
        if not names:
            tables.inventory()
    except BaseException as error:
        tables.close()
        if isinstance(error, CannotBeAsked):
            raise NotDone(str(error)) from None
        raise
    return tables


def _run(url: str, tables: Tables, port: int) -> None:
    from sqlalchemy.engine import make_url

    from poller.doctor import place_of
    from poller.watching.program import listener, serve

    def said(address: str) -> None:
        click.echo(f"{place_of(make_url(url))} is live at\n\n  {address}\n")
        click.echo("The address opens once, in one browser. Ctrl-C ends it.")

    try:
        server = listener(port)
    except OSError as error:
        tables.close()
        raise NotDone(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from None
    serve(server, tables, said)


def _become_own_program(url: str, names: Sequence[str], given: Mapping[str, object]) -> None:
    """Under `flask rowcast` the application is imported by now, and it is too late to make the
    process one that serves streams. The database goes by the environment: it may have a password.
    """
    options = [part for name, value in given.items() if value for part in (name, str(value))]
    program = [sys.executable, "-m", "poller", "watch", *options, "--", *names]
    sys.stdout.flush()
    os.execve(sys.executable, program, {**os.environ, "DATABASE_URL": url})  # noqa: S606
