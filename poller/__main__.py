"""The command line: `rowcast`, `python -m poller`, and `flask rowcast` inside an application.

Nothing but click is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import click

from poller import __version__
from poller.commands.check import check
from poller.commands.doctor import doctor, doctor_of_app
from poller.commands.probe import probe
from poller.commands.prune import prune
from poller.commands.seed import seed
from poller.commands.tables import tables
from poller.commands.tail import tail
from poller.commands.target import OwnProcess
from poller.commands.wake import wake
from poller.commands.watch import watch

EVERYWHERE = (tables, watch, tail, check, probe, prune, seed, wake)
EXAMPLES = """\b
Begin with:
  rowcast tables shop.db                    what can be watched here?
  rowcast watch shop.db                     its tables live, in a page
  rowcast tail shop.db orders               its new rows, as they come
  rowcast doctor shop.db orders             what is promised of this table?
  rowcast probe http://127.0.0.1:8000/stream/orders
                                            what is between you and this stream?
Each command has a page of its own: rowcast tail --help
"""


@click.group(name="rowcast", epilog=EXAMPLES)
@click.version_option(__version__, prog_name="rowcast")
def main() -> None:
    """Turns any SQL table into a live stream."""


@click.group(name="rowcast")
def flask_commands() -> None:
    """Rowcast's commands, for this application's databases and feeds."""


main.add_command(doctor)
flask_commands.add_command(doctor_of_app)
for command in EVERYWHERE:
    main.add_command(command)
    flask_commands.add_command(command)


def program() -> None:
    """`rowcast` as a program of its own."""
    main(prog_name="rowcast", obj=OwnProcess())


if __name__ == "__main__":
    program()
