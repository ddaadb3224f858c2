"""`rowcast doctor`: which guarantees hold for a table; for an application's feeds under `flask`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from poller.commands.changing import of_changes
from poller.commands.fitted import fitted
from poller.commands.target import (
    DATABASE,
    NotDone,
    Target,
    Watched,
    feeds_here,
    for_a_database,
    nearest,
    settings_of,
)

if TYPE_CHECKING:
    from poller.doctor import Report
    from poller.reading.description import Key

EXAMPLES = """\b
Examples:
  rowcast doctor sqlite:///shop.db orders
  rowcast doctor postgresql://ann@db.example/shop audit.log
  DATABASE_URL=mysql://ann@db.example/shop rowcast doctor orders --key number
  rowcast doctor shop.db orders --version version --deleted deleted_at
"""
STATUS = """\b
Exit status:
  0  the promise holds in full
  1  it holds with exceptions, which the report names
  2  the table cannot be watched, or the database cannot be queried
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Report what is promised of a table, and why.",
)
@click.argument("arguments", nargs=-1, metavar="[URL] TABLE")
@for_a_database
@of_changes
def doctor(
    target: Target,
    arguments: Sequence[str],
    key: Key,
    version: str | None,
    deleted: str | None,
    window: int | None,
    order_by: str | None,
) -> None:
    """Report which guarantees hold for a table, why, and what to change to get them all.

    A table without an integer key can be followed by window: say --window N. It never writes.
    """
    url, table = target.url_and_table(arguments)
    from poller.doctor import diagnose, diagnose_window
    from poller.watch import Watch

    settings = settings_of(target.context)
    if window or order_by:
        watch = Watch.of(table, None, key, None, None, {})
        report = diagnose_window(url, fitted(url, watch, settings, window, order_by), settings)
    else:
        report = diagnose(url, table, settings, key, version=version, deleted=deleted)
    _show([report], target.context)


@click.command(name="doctor", epilog=STATUS)
@click.argument("feed", required=False)
@click.pass_context
def doctor_of_app(context: click.Context, feed: str | None) -> None:
    """Report which guarantees hold for FEED, or for every feed of the application.

    It uses the application's own databases and settings, and never writes. The feed orders of a
    notifier that is named archive is archive/orders.
    """
    from poller.doctor import diagnose_feed

    feeds = feeds_here(context)
    if not feeds:
        raise NotDone("there is no application here; rowcast doctor needs none")
    labels = [*feeds] if feed is None else [feed_label(feeds, feed)]
    _show([diagnose_feed(*feeds[label]) for label in labels], context)


def feed_label(feeds: Mapping[str, Watched], label: str) -> str:
    """`label`, if the application has a feed of that name. Raises NotDone."""
    if label in feeds:
        return label
    hint = nearest(label, [*feeds]) or f" It has: {', '.join(feeds)}."
    raise NotDone(f"this application has no feed {label}.{hint}")


def _show(reports: Iterable[Report], context: click.Context) -> None:
    """Print the reports; the exit status is the worst one's."""
    status, encoding = 0, sys.stdout.encoding
    for number, report in enumerate(reports):
        for line in [*[""][:number], *report.lines()]:
            click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
        status = max(status, report.status)
    context.exit(status)
