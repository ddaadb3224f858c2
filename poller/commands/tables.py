"""`rowcast tables`: what is in a database, and what of it can be watched."""

from __future__ import annotations

import json
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from poller.commands.layout import GAP, coloured, padded, safe, width
from poller.commands.target import DATABASE, NotDone, Target, for_a_database, settings_of

if TYPE_CHECKING:
    from poller.inventory import Inventory, Listed
    from poller.reading.dialects.facts import Finding

EXAMPLES = """\b
Examples:
  rowcast tables shop.db
  rowcast tables postgresql://ann@db.example/shop
  rowcast tables --format json | jq -r '.tables[] | select(.promise == "full").name'
"""
STATUS = """\b
Exit status:
  0  the tables were listed
  2  the database cannot be queried
"""
HEADINGS = ("name", "kind", "key", "rows", "promise")
ROWS = HEADINGS.index("rows")
FULL, EXCEPTIONS, NOT_WATCHED = "in full", "with exceptions", "none"
BY_WINDOW = "newest rows"
MOST_OF_A_KEY = 3
COLOURS = {FULL: "green", EXCEPTIONS: "yellow", BY_WINDOW: "yellow", NOT_WATCHED: "red"}


@click.command(
    epilog=f"{DATABASE}\n{EXAMPLES}\n{STATUS}",
    short_help="List tables and views, and what can be watched.",
)
@click.argument("url", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
@for_a_database
def tables(target: Target, url: str | None, form: str) -> None:
    """List every table and view of a database: its key, about how many rows it has, and whether it
    can be watched.

    In full: each row once, through anything. Newest rows: by window, as rowcast tail and watch take
    such a table by themselves.

    Below the list is what is missing: for a table with exceptions, what is not promised; for one
    without an integer key, the SQL that gives it one. It never writes.
    """
    where = target.url(url)
    from poller.inventory import CannotBeAsked, take_inventory

    try:
        inventory = take_inventory(where, settings_of(target.context))
    except CannotBeAsked as error:
        raise NotDone(str(error)) from None
    if form == "json":
        listed = [one.as_data() for one in inventory.listed]
        click.echo(json.dumps({"database": inventory.place, "tables": listed}, indent=2))
        return
    encoding = sys.stdout.encoding
    for line in _lines(inventory):
        click.echo(line.encode(encoding, "backslashreplace").decode(encoding), color=coloured())


def _lines(inventory: Inventory) -> Iterator[str]:
    count = len(inventory.listed)
    yield f"{count} {'table or view' if count == 1 else 'tables and views'} in {inventory.place}"
    if count:
        yield ""
        yield from _list(inventory.listed)
    yield from _exceptions(inventory.listed)
    yield from _problems(inventory.listed)


def _list(listed: Sequence[Listed]) -> Iterator[str]:
    rows = [_cells(one) for one in listed]
    widths = [max(width(row[at]) for row in [HEADINGS, *rows]) for at in range(len(HEADINGS))]
    yield click.style(_line(HEADINGS, widths), bold=True)
    for row in rows:
        line = _line(row, widths)
        start = len(line) - len(row[-1])
        colour = next(fg for text, fg in COLOURS.items() if row[-1].startswith(text))
        yield line[:start] + click.style(line[start:], fg=colour)


def _cells(one: Listed) -> tuple[str, ...]:
    rows = "" if one.rows is None else f"{one.rows:,}"
    return safe(one.name), one.kind, safe(_key(one)), rows, _promise(one)


def _key(one: Listed) -> str:
    """That of a window may have so many columns that a list has no room for them."""
    if one.window is None:
        return one.key
    key = one.window.key
    return ", ".join(key) if len(key) <= MOST_OF_A_KEY else f"{len(key)} columns"


def _promise(one: Listed) -> str:
    if one.window is not None:
        return BY_WINDOW
    if one.report.problem:
        return NOT_WATCHED
    promise = EXCEPTIONS if one.report.exceptions else FULL
    return f"{promise} (--key {shlex.quote(safe(one.key))})" if one.named else promise


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [
        padded(cell, wide, right=at == ROWS)
        for at, (cell, wide) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join([*texts[:-1], cells[-1]])


def _exceptions(listed: Sequence[Listed]) -> Iterator[str]:
    """What is not promised, said once for all tables of which it is said."""
    tables: dict[Finding, list[str]] = defaultdict(list)
    for one in listed:
        for finding in one.report.exceptions:
            tables[finding].append(one.name)
    for finding, names in tables.items():
        yield ""
        yield click.style(safe(f"{', '.join(names)}: {finding.fact}"), fg=COLOURS[EXCEPTIONS])
        yield safe(f"  not promised: {finding.lacking}")
        yield safe(f"  what to do: {finding.remedy}")
        if finding.shown_by:
            yield safe(f"  shown by: {finding.shown_by}")


def _problems(listed: Sequence[Listed]) -> Iterator[str]:
    for one in listed:
        if one.report.problem:
            yield ""
            told = safe(f"{one.name}: {one.report.problem}")
            yield click.style(told, fg=COLOURS[BY_WINDOW if one.window else NOT_WATCHED])
            if one.window:
                more = "; for each row once:" if one.report.way_out else ""
                yield f"  promised: the newest rows, two looks after each change{more}"
            yield from (safe(f"  {line}") for line in one.report.way_out if line)
