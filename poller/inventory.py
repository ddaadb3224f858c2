"""The inventory of a database: its tables and views, and for each the doctor's report.

`rowcast tables` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import make_url

from poller.doctor import Report, only_to_read, place_of, why
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.survey import Surveyed, survey
from poller.reading.windows.choice import Choice
from poller.runtime.database_url import checked_url
from poller.runtime.settings import Settings


class CannotBeAsked(Exception):  # noqa: N818 - the text is a sentence
    """The database gives no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table or view. `name` is as `rowcast tail` and `Notifier.watch()` take it. `key` is empty
    if it has none by which it can be watched; `named` says that it has to be named, since it is not
    the primary key. `rows` is an estimate, None if there is none. What cannot be watched row by row
    can be watched by `window`; the report then says why, and how to get more."""

    name: str
    kind: str
    key: str
    named: bool
    rows: int | None
    report: Report
    window: Choice | None = None

    def as_data(self) -> Mapping[str, object]:
        """For programs. `promise` is `full`, `exceptions`, `window` or, if it cannot be watched at
        all, null."""
        report, window = self.report, self.window
        promise = "window" if window else "exceptions" if report.exceptions else "full"
        return {
            "name": self.name,
            "kind": self.kind,
            "key": self.key or None,
            "options": ["--key", self.key] if self.named else [],
            "rows": self.rows,
            "promise": None if report.problem and not window else promise,
            "window": window and {"key": [*window.key], "order_by": window.order_by},
            "exceptions": [
                {
                    "fact": one.fact,
                    "lacking": one.lacking,
                    "remedy": one.remedy,
                    "shown_by": one.shown_by,
                }
                for one in report.exceptions
            ],
            "problem": report.problem or None,
            "way_out": [*report.way_out],
        }


@dataclass(frozen=True, slots=True)
class Inventory:
    """`place` is the database, to be shown."""

    place: str
    listed: Sequence[Listed]


def take_inventory(url: str, settings: Settings) -> Inventory:
    """What is in the database. Raises CannotBeAsked."""
    try:
        where = make_url(checked_url(url))
        to_read = only_to_read(where).render_as_string(hide_password=False)
        database = Database(to_read, query_timeout_s=settings.query_timeout_s)
    except (ValueError, TableError) as error:
        raise CannotBeAsked(str(error)) from None
    except Exception as error:  # a driver that is not installed
        raise CannotBeAsked(why(error)) from error
    try:
        found = survey(database, settings.gap_grace_s)
    except Exception as error:
        raise CannotBeAsked(f"the database cannot be queried: {why(error)}") from error
    finally:
        database.close()
    place = place_of(where)
    return Inventory(place, [_listed(one, place) for one in found])


def _listed(one: Surveyed, place: str) -> Listed:
    shape = one.shape
    if one.facts is None:
        report = Report(shape.name, place, problem=one.problem, way_out=one.way_out)
    else:
        report = Report(shape.name, place, one.facts.fence.name, one.facts.findings)
    name = ".".join(_spelt(part) for part in (shape.schema, shape.name) if part is not None)
    return Listed(name, shape.kind, one.key, one.named, shape.rows, report, one.window)


def _spelt(part: str) -> str:
    return f'"{part}"' if "." in part else part
