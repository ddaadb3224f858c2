"""`rowcast check`: is everything there that a server needs? `checkup.py` looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from poller.commands.layout import coloured
from poller.commands.target import DATABASE, Target, for_a_database

if TYPE_CHECKING:
    from poller.commands.checkup import Checked

WHOLE, EXCEPTIONS, FAILED = 0, 1, 2
MARKS = {WHOLE: ("ok", "green"), EXCEPTIONS: ("lacks", "yellow"), FAILED: ("fails", "red")}
EXAMPLES = """\b
Examples:
  rowcast check
  rowcast check postgresql://ann@db.example/shop --port 8080 --workers 4
"""
STATUS = """\b
Exit status:
  0  everything is there
  1  a server works, but something is marked lacks
  2  something fails
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Check everything that a server needs.",
)
@click.argument("url", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option(
    "--port",
    default=8000,
    show_default="PORT, else 8000",
    envvar="PORT",
    type=click.IntRange(0, 65_535),
    help="The port to serve on.",
)
@click.option(
    "--workers",
    default=1,
    show_default="WEB_CONCURRENCY, else 1",
    envvar="WEB_CONCURRENCY",
    type=click.IntRange(min=1),
    help="How many workers gunicorn is to have.",
)
@for_a_database
def check(target: Target, url: str | None, host: str, port: int, workers: int) -> None:
    """Check everything that a server needs: settings, the database, its connections, the port and
    open files. It also says what the workers cost the database.

    It never writes. For a table, ask rowcast doctor.
    """
    from poller.commands.checkup import checkup

    status = 0
    for checked in checkup(target, url, host, port, workers):
        status = max(status, checked.status)
        _show(checked)
    target.context.exit(status)


def _show(checked: Checked) -> None:
    mark, colour = MARKS[checked.status]
    click.echo(f"{click.style(f'{mark:<6}', fg=colour)} {checked.fact}", color=coloured())
    if checked.remedy:
        click.echo(f"         what to do: {checked.remedy}")
