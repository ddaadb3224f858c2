"""The options of a table whose rows may change, for the commands that look at one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from poller.commands.target import NotDone, Target


def of_changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a feed by version, and `key`, which may be several columns.
    It is called with `key`, `version` and `deleted`, as for `Watch`."""

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
    @functools.wraps(command)
    def with_changes(
        target: Target,
        /,
        *,
        key: str | None,
        version: str | None,
        deleted: str | None,
        **others: Any,
    ) -> Any:
        if deleted is not None and version is None:
            raise NotDone("--deleted needs --version")
        named = key if key is None or version is None else split_names(key)
        return command(target, key=named, version=version, deleted=deleted, **others)

    return with_changes


def split_names(text: str) -> list[str]:
    """Names of columns, with commas between them."""
    return [name.strip() for name in text.split(",")]
