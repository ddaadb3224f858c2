"""The doctor: which guarantees hold for a table, why, and what to change to get them all.

It asks the database what a poller asks at its start, and polls once. It never writes. `rowcast
doctor` prints the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from poller.feed import Feed
from poller.ids.cursor import Cursor
from poller.reading import remedy
from poller.reading.chosen import Said
from poller.reading.database import Database
from poller.reading.description import Key, TableError
from poller.reading.dialects.facts import Finding, exceptions
from poller.reading.filter_index import slow_filters
from poller.reading.naming import source_name
from poller.reading.pooler import pooler_findings
from poller.reading.table import Table
from poller.reading.windows.choice import DEFAULT_ROWS
from poller.reading.windows.query import Asked
from poller.reading.windows.source import WindowSource
from poller.runtime.database_url import checked_url
from poller.runtime.settings import Settings
from poller.watch import Watch
from poller.window.encoding import Encoder
from poller.window.picture import slack_of

WHOLE, EXCEPTIONS, NOT_WATCHED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `problem`: why the table cannot be watched; nothing else is then known but
    `way_out`: lines that say what to do about it, SQL among them."""

    name: str
    place: str = ""
    fence: str = ""
    findings: Sequence[Finding] = ()
    limits: Sequence[str] = ()
    problem: str = ""
    way_out: Sequence[str] = ()
    window: int | None = None  # so many rows are shown, if it is by window

    @property
    def exceptions(self) -> list[Finding]:
        return exceptions(self.findings)

    @property
    def status(self) -> int:
        """0: the promise holds in full; 1: with exceptions; 2: the table cannot be watched, or the
        database not be queried."""
        if self.problem:
            return NOT_WATCHED
        return EXCEPTIONS if self.exceptions else WHOLE

    def lines(self) -> Iterator[str]:
        """For a person; they end with the verdict and, if it is bad, the way out."""
        if self.place:
            yield f"{self.name} in {self.place}"
            yield ""
        for finding in self.findings:
            yield f"{'lacks' if finding.lacking else 'ok':<6} {finding.fact}"
            if finding.lacking:
                yield f"         not promised: {finding.lacking}"
                yield f"         what to do: {finding.remedy}"
                if finding.shown_by:
                    yield f"         shown by: {finding.shown_by}"
        if self.findings:
            if self.fence:
                yield f"{'fence':<6} {self.fence}"
            yield from (f"{'limit':<6} {one}" for one in self.limits)
            yield ""
        yield self._verdict()
        if self.way_out:
            yield ""
            yield from self.way_out

    def _verdict(self) -> str:
        if self.window is not None and not self.problem:
            promised = (
                f"{self.name} can be watched by window: its newest {self.window:,} rows are the "
                "same at every client two looks after the last change"
            )
            return (
                f"{promised}, but for what is named above." if self.exceptions else f"{promised}."
            )
        match self.status, len(self.exceptions):
            case 0, _:
                return f"{self.name} can be watched; the promise holds in full."
            case 1, 1:
                return f"{self.name} can be watched, with the exception named above."
            case 1, many:
                return f"{self.name} can be watched, with the {many} exceptions named above."
            case _:
                return f"{self.name} cannot be watched: {self.problem}"


def diagnose(
    url: str,
    source: object,
    settings: Settings,
    key: Key = None,
    columns: Said = None,
    version: str | None = None,
    deleted: str | None = None,
    filters: Sequence[str] = (),
) -> Report:
    """Look at a table: the arguments are as for `Notifier.watch()`.

    Whatever fails is in the report. It takes no longer than the query timeout.
    """
    name = source_name(source)
    try:
        where = make_url(checked_url(url))
    except ValueError as error:
        return Report(name, problem=str(error))
    place = place_of(where)
    table = Watch(
        source, name, key, columns, version=version, deleted=deleted, filters=filters
    ).table(settings)
    try:
        return _look(only_to_read(where), table, settings.query_timeout_s, place)
    except TableError as error:
        return Report(name, place, problem=str(error))
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        return Report(name, place, problem=f"the database cannot be queried: {why(error)}")


def diagnose_window(url: str, watch: Watch, settings: Settings) -> Report:
    """Look at what a feed by window shows: `watch` has a `window`. Otherwise as `diagnose()`."""
    size, name = watch.window or DEFAULT_ROWS, watch.name
    try:
        where = only_to_read(make_url(checked_url(url))).render_as_string(hide_password=False)
        place = place_of(make_url(url))
    except (ValueError, TableError) as error:
        return Report(name, problem=str(error))
    database = Database(where, query_timeout_s=settings.query_timeout_s)
    asked = Asked(watch.source, name, watch.key, watch.columns, watch.order_by, size)
    source = WindowSource(asked, database, settings, size + slack_of(size))
    try:
        if (look := source.look()) is not None:
            Encoder(name, size).picture(look)
        return Report(
            name, place, findings=[*pooler_findings(database), *source.findings], window=size
        )
    except TableError as error:
        return Report(name, place, problem=str(error), window=size)
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        return Report(name, place, problem=f"the database cannot be queried: {why(error)}")
    finally:
        database.close()


def diagnose_feed(feed: Feed, settings: Settings) -> Report:
    """Look at the table of an application's feed, in the application's database."""
    url = feed.database.url.render_as_string(hide_password=False)
    watch = feed.watch
    if watch.window is not None:
        return diagnose_window(url, watch, settings.with_changes(**watch.settings))
    named = watch.key, watch.columns_to_look, watch.version, watch.deleted, watch.filters
    return diagnose(url, watch.source, settings, *named)


def _look(url: URL, table: Table, query_timeout_s: float, place: str) -> Report:
    database = Database(url.render_as_string(hide_password=False), query_timeout_s=query_timeout_s)

    def work(connection: Connection) -> Report:
        try:
            table.describe(connection)
        except TableError as error:
            way_out = () if table.by_version else _way_out(connection, table)
            return Report(table.name, place, problem=str(error), way_out=way_out)
        if (duplicates := table.duplicates(connection)) is not None:
            return Report(table.name, place, problem=duplicates)
        newest = table.start_below(connection, 0)
        table.poll(connection, Cursor.at(newest), limit=1)
        facts = table.facts
        limits = [*slow_filters(connection, table.description), *facts.limits]
        return Report(table.name, place, facts.fence.name, facts.findings, limits)

    try:
        report = database.read(work)
        return replace(report, findings=[*pooler_findings(database), *report.findings])
    finally:
        database.close()


def _way_out(connection: Connection, table: Table) -> Sequence[str]:
    key = table.key_name if isinstance(table.key_name, str) else None
    return remedy.lines(connection, table.source, key)


def place_of(url: URL) -> str:
    """The database, to be shown: without the query, which may hold a password, too."""
    return url.set(query={}).render_as_string(hide_password=True)


def only_to_read(url: URL) -> URL:
    """An SQLite file is opened so that nothing can be written: it keeps its journal mode, and is
    not made if it is missing."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    if "uri" not in url.query:
        path = Path(str(url.database)).absolute()
        if not path.exists():
            raise TableError(f"there is no file {path}; start what creates it, or name another")
        url = url.set(database=f"file:{quote(str(path))}").update_query_dict({"uri": "true"})
    return url.update_query_dict({"mode": "ro"})


def why(error: Exception) -> str:
    """The driver's own words, of which the first line tells."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    told = next(iter(str(cause).splitlines()), type(cause).__name__)
    if isinstance(cause, AssertionError):  # SQLAlchemy's, at a version() that it cannot read
        return f"Rowcast does not know it. {told}"
    return told
