"""The command line: `rowcast`, `python -m poller`, and `flask rowcast` inside an application.

Nothing but click is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from poller import __version__

if TYPE_CHECKING:
    from poller.doctor import Report
    from poller.service import Service

EXIT_STATUS = """\b
Exit status:
  0  the promise holds in full
  1  it holds with exceptions, which the report names
  2  the table cannot be watched, or the database cannot be asked
"""


class NotDone(click.ClickException):
    """The command could not be followed; the text says what to do."""

    exit_code = 2


@click.group(name="rowcast")
@click.version_option(__version__, prog_name="rowcast")
def main() -> None:
    """Turns any SQL table into a live stream of Server-Sent Events."""


@main.command(epilog=EXIT_STATUS)
@click.argument("arguments", nargs=-1, metavar="[URL] [TABLE]")
@click.option("--database", metavar="URL", help="The database. Default: DATABASE_URL.")
@click.option("--key", metavar="COLUMN", help="The integer key, if it is not the primary key.")
@click.pass_context
def doctor(
    context: click.Context, arguments: tuple[str, ...], database: str | None, key: str | None
) -> None:
    """Report which guarantees hold for a table, why, and what to change to get them all.

    It never writes. A password is best kept out of the command: set DATABASE_URL instead of URL.
    """
    url, table = _url_and_table(arguments, database)
    from poller.doctor import diagnose
    from poller.runtime.environment import without_wall_settings
    from poller.runtime.settings import Settings, SettingsError

    try:
        settings = Settings.from_env(without_wall_settings(os.environ))
    except SettingsError as error:
        raise NotDone(str(error)) from None
    _show([diagnose(url, table, settings, key)], context)


@click.group(name="rowcast")
def flask_commands() -> None:
    """Rowcast's commands for this application's feeds."""


@flask_commands.command(name="doctor", epilog=EXIT_STATUS)
@click.argument("feed", required=False)
@click.pass_context
def doctor_of_app(context: click.Context, feed: str | None) -> None:
    """Report which guarantees hold for FEED, or for every feed of the application.

    It uses the application's own database and settings, and never writes.
    """
    from flask.cli import ScriptInfo

    from poller.doctor import diagnose_feed
    from poller.web.current import service_of

    try:
        service = service_of(context.ensure_object(ScriptInfo).load_app())
    except RuntimeError as error:
        raise NotDone(str(error)) from None
    names = [*service.feeds] if feed is None else [_feed_name(service, feed)]
    _show([diagnose_feed(service.feeds[name], service.settings) for name in names], context)


def _url_and_table(arguments: tuple[str, ...], database: str | None) -> tuple[str, str]:
    """From `[URL] [TABLE]`. One argument alone is the URL if it looks like one."""
    given = [*arguments]
    url = given.pop(0) if len(given) == 2 or (given and "://" in given[0]) else None
    if len(given) > 1 or (url and database):
        raise click.UsageError("name one database and one table: doctor [URL] TABLE")
    url = url or database or os.environ.get("DATABASE_URL")
    if not url:
        raise click.UsageError("name the database: set DATABASE_URL, or give --database")
    if not given:
        raise click.UsageError("name the table, too: doctor [URL] TABLE")
    return url, given[0]


def _feed_name(service: Service, name: str) -> str:
    if name in service.feeds:
        return name
    nearest = difflib.get_close_matches(name, service.feeds, n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"It has: {', '.join(service.feeds)}."
    raise NotDone(f"this application has no feed {name}. {hint}")


def _show(reports: Iterable[Report], context: click.Context) -> None:
    """Print the reports; the exit status is the worst one's."""
    status, encoding = 0, sys.stdout.encoding
    for number, report in enumerate(reports):
        for line in [*[""][:number], *report.lines()]:
            click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
        status = max(status, report.status)
    context.exit(status)


if __name__ == "__main__":
    main(prog_name="rowcast")
