"""`rowcast wake`: the running server polls now, since a script has inserted rows."""

from __future__ import annotations

import click

from poller.commands.target import NotDone

EXAMPLES = """\b
Examples:
  psql -c "INSERT INTO orders …" && rowcast wake orders
  rowcast wake                              all feeds
  sudo -u www-data rowcast wake orders      a server of another user
"""
STATUS = """\b
Exit status:
  0  workers were told
  2  no worker can be told
"""


@click.command(
    epilog=f"{EXAMPLES}\n{STATUS}", short_help="Let a running server poll now, after an insert."
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--folder",
    metavar="PATH",
    envvar="POLLER_SIBLINGS",
    show_default="POLLER_SIBLINGS, else those of all servers of this user",
    help="The private folder of a server's workers.",
)
def wake(names: tuple[str, ...], folder: str | None) -> None:
    """Tell the workers of this user's running servers to poll these feeds now, by default all.

    It needs no database. What is not told finds the rows by its next poll.
    """
    from poller.hints.servers import NobodyThere
    from poller.hints.servers import wake as wake_servers

    try:
        told = wake_servers(names, folder)
    except NobodyThere as error:
        raise NotDone(str(error)) from None
    click.echo(f"told {told} worker{'' if told == 1 else 's'}")
