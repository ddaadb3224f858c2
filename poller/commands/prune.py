"""`rowcast prune`: old rows deleted from a table, a few at a time."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from poller.commands.layout import safe
from poller.commands.target import DATABASE, NotDone, Target, for_a_database, settings_of

if TYPE_CHECKING:
    from poller.reading.pruning import Pruning

clock, pause = time.monotonic, time.sleep
LOOKED_AT = 5_000  # rows a step, when they are only counted
SHORTEST_PAUSE_S = 0.01  # others have a turn, however short a step was
BY_SIGNAL = 128  # and the signal's number
ENDED_BY = (signal.SIGINT, signal.SIGTERM)
EXAMPLES = """\b
Examples:
  rowcast prune shop.db orders --keep 90d
  rowcast prune postgresql://ann@db.example/shop audit.log --keep 2w --by logged_at --yes
  rowcast prune shop.db posts --keep 1000rows
  rowcast prune shop.db orders --keep 90d --mark deleted_at
"""
STATUS = """\b
Exit status:
  0    the old rows are deleted, or there were none, or you did not want it
  2    they could not be; what was deleted before stays deleted
  130  ended by Ctrl-C, and 143 by SIGTERM: likewise
"""


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="Delete old rows of a table, a few at a time.",
)
@click.argument("arguments", nargs=-1, metavar="[URL] TABLE")
@click.option(
    "--keep",
    required=True,
    metavar="TIME",
    help="Keep rows that are younger: 90d, 12h, 30m, 2w. Or 10000rows: the newest so many.",
)
@click.option(
    "--by", metavar="COLUMN", help="The time of a row, if the table has several or tells none."
)
@click.option(
    "--mark",
    metavar="COLUMN",
    help="Delete no row, but mark it in this column, as a feed by version is told of it.",
)
@click.option(
    "--batch",
    default=500,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 5_000),
    help="Rows at most in one transaction.",
)
@click.option(
    "--pause",
    "pause_s",
    metavar="SECONDS",
    type=click.FloatRange(0, 60),
    help="Between two transactions. Without it, as long as the last one took.",
)
@click.option("--yes", is_flag=True, help="Do it without a question.")
@for_a_database
def prune(
    target: Target,
    arguments: Sequence[str],
    keep: str,
    by: str | None,
    mark: str | None,
    batch: int,
    pause_s: float | None,
    yes: bool,  # noqa: FBT001
) -> None:
    """Delete the old rows of a table, a few in each transaction, with pauses.

    First it counts them and asks; where nobody can be asked, it deletes nothing without --yes. The
    newest eight rows stay, however old they are: streams know the table by them.

    Pages that follow the newest rows (by window) see the deleted ones go. Others are not told, and
    none has to load anew; with --mark, pages that follow a version are told.
    """
    url, table = target.url_and_table(arguments)
    timeout_s = settings_of(target.context).query_timeout_s
    from poller.doctor import only_to_read, place_of, why
    from poller.reading.ages import old_of
    from poller.reading.database import Database
    from poller.reading.description import TableError
    from poller.reading.pruning import pruning

    pruner = _Pruner(batch, pause_s)
    try:
        from sqlalchemy.engine import make_url

        only_to_read(make_url(url))  # a file that is missing is not made
        database = Database(url, query_timeout_s=timeout_s)
        try:
            what, told = pruning(database, table, old_of(keep, by), mark)
            click.echo(safe(f"{table} in {place_of(make_url(url))}: {told}"))
            pruner.run(what, yes=yes)
        finally:
            database.close()
    except (TableError, ValueError) as error:
        raise NotDone(str(error)) from None
    except click.ClickException:
        raise
    except Exception as error:
        raise NotDone(f"{why(error)}{pruner.done_before()}") from error
    target.context.exit(pruner.status)


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


class _Pruner:
    """Counts, asks, deletes; `done` rows are deleted."""

    def __init__(self, batch: int, pause_s: float | None) -> None:
        self._batch = batch
        self._pause_s = pause_s
        self._verb, self._participle = "Delete", "deleted"
        self.done = 0
        self.status = 0

    def run(self, what: Pruning, *, yes: bool) -> None:
        if what.mark is not None:
            self._verb, self._participle = "Mark", "marked"
        looked_at, old = self._count(what)
        if self._stopped():
            click.echo(f"stopped: nothing was {self._participle}")
            return
        click.echo(f"{old:,} of {looked_at:,} rows are old")
        if not old or not self._agreed(old, yes=yes):
            return
        self._prune(what, old)
        click.echo(self.done_so_far() if self._stopped() else f"{self._rows()} {self._participle}")

    def done_before(self) -> str:
        """To be added to what went wrong."""
        return f"; {self.done_so_far()}" if self.done else ""

    def _stopped(self) -> bool:
        """Whether a signal came."""
        return self.status >= BY_SIGNAL

    def done_so_far(self) -> str:
        """When it ends before it is done."""
        return f"{self._rows()} {self._participle} until then; the same command goes on"

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Inside, a signal ends it behind the transaction that is under way; a second one now."""

        def stop(number: int, _frame: FrameType | None) -> None:
            self.status = BY_SIGNAL + number
            signal.signal(number, before[number])

        before: dict[int, Any] = {number: signal.signal(number, stop) for number in ENDED_BY}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _count(self, what: Pruning) -> tuple[int, int]:
        looked_at = old = 0
        with self._signals():
            for step in what.count(LOOKED_AT):
                looked_at, old = looked_at + step.looked_at, old + step.old
                if self._stopped():
                    break
        return looked_at, old

    def _agreed(self, old: int, *, yes: bool) -> bool:
        if yes:
            return True
        if not can_ask():
            click.echo(f"nothing was {self._participle}: say --yes to do it")
            return False
        return click.confirm(f"{self._verb} {old:,} {'row' if old == 1 else 'rows'}?")

    def _prune(self, what: Pruning, old: int) -> None:
        steps = what.prune(self._batch)
        with self._signals(), click.progressbar(length=old, label=self._participle) as bar:
            began_at = clock()
            for step in steps:
                self.done += step.old
                bar.update(step.old)
                if self._stopped():
                    break
                if step.old:
                    took_s = clock() - began_at
                    pause(max(SHORTEST_PAUSE_S, took_s) if self._pause_s is None else self._pause_s)
                began_at = clock()

    def _rows(self) -> str:
        return f"{self.done:,} {'row' if self.done == 1 else 'rows'}"
