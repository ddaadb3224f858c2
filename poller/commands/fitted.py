"""What to watch where nobody said which kind of feed: asked of the table, and told to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from poller.commands.target import NotDone

if TYPE_CHECKING:
    from poller.runtime.settings import Settings
    from poller.watch import Watch


def fitted(
    url: str, watch: Watch, settings: Settings, window: int | None, order_by: str | None
) -> Watch:
    """`watch`, or the same by window. Raises NotDone for a database that cannot be queried."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from poller.doctor import only_to_read, why
    from poller.fitting import fitting
    from poller.reading.database import Database
    from poller.reading.description import TableError

    try:
        to_read = only_to_read(make_url(url)).render_as_string(hide_password=False)
        database = Database(to_read, query_timeout_s=settings.query_timeout_s)
    except (ValueError, ImportError, SQLAlchemyError, TableError) as error:
        raise NotDone(why(error)) from None
    try:
        fit = fitting(database, watch, window, order_by)
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        raise NotDone(f"the database cannot be queried: {why(error)}") from None
    finally:
        database.close()
    if fit.because:
        by = fit.watch
        click.echo(
            f"{by.name}: by window, the newest {by.window} rows by {by.order_by}, since "
            f"{fit.because}",
            err=True,
        )
    return fit.watch
