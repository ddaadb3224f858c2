"""The options of a table whose rows may change, for the commands that look at one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from poller.commands.target import NotDone, Target

MAX_WINDOW_ROWS = 10_000  # as in watch.py, which takes long to import


def of_changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a feed by version and by window, and `key`, which may be
    several columns. It is called with them as for `Watch`."""

    @click.option(
        "--key",
        metavar="COLUMN",
        help="The integer key, if it is not the primary key. With --version: the column, or the "
        "columns A,B,…, that tell one row from another.",
    )
    @click.option(
        "--version",
        metavar="COLUMN",
        help="Rows may change: the column in which the database numbers each change.",
    )
    @click.option(
        "--deleted", metavar="COLUMN", help="With --version: the column that marks deleted rows."
    )
    @click.option(
        "--window",
        metavar="N",
        type=click.IntRange(1, MAX_WINDOW_ROWS),
        help="Follow the newest N rows with all their changes, of any table or view, by any key. "
        "tail and watch choose it, with 200, where there is no integer key.",
    )
    @click.option(
        "--order-by",
        metavar="COLUMN",
        help="With --window: which rows are the newest, by default by a time or the key.",
    )
    @functools.wraps(command)
    def with_changes(
        target: Target,
        /,
        *,
        key: str | None,
        version: str | None,
        deleted: str | None,
        window: int | None,
        order_by: str | None,
        **others: Any,
    ) -> Any:
        if version is not None and (window or order_by):
            raise NotDone("--version follows all rows, --window the newest: name one of them")
        if deleted is not None and version is None:
            raise NotDone("--deleted needs --version")
        several = key is not None and (version is not None or "," in key)
        named = split_names(key) if key is not None and several else key
        asked = {"version": version, "deleted": deleted, "window": window, "order_by": order_by}
        return command(target, key=named, **asked, **others)

    return with_changes


def split_names(text: str) -> list[str]:
    """Names of columns, with commas between them."""
    return [name.strip() for name in text.split(",")]
