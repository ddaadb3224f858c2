"""Rowcast turns any SQL table into a live stream of Server-Sent Events.

Where a row goes, from the table to the wire, and the room that takes it there:

    SQL table
       │  reading/     the only SQL: one query a poll, above the cursor's position or in its gaps;
       │               what tells the table's history (dialects/); which gaps may still fill
       │               (fence.py)?
       ▼
    polling/           one pass: is it still the same table (identity.py)? Each row encoded once
       │               (wire/), gaps judged (ids/gaps.py), cursor moved
       ▼
    delivery/          event_log.py, the ring of encoded frames, one for all streams of a worker;
       │               subscriber.py, what one stream is sent next: from the ring, or from the
       │               table in pages (backfill.py)
       ▼
    serving/           the sockets: fanout.py writes one batch to all live streams, client.py
       │               sends, long_poll.py answers without a stream; access/ says who may open one
       ▼
    web/               the Flask routes

watch.py is what an application's author says of a table; feed.py puts this together for one table,
service.py for one application. declared.py and notifier.py are the Flask extension, handlers.py
calls the application with each row, doctor.py says what is promised of a table. runtime/ has what
all rooms use: settings, log, metrics.

The idea that holds it together is in ids/cursor.py: what was delivered is not a number but a set;
what makes it safe is in reading/fence.py: a gap is given up only when nobody is left who could
fill it.

Names are imported when they are asked for: gunicorn imports `poller.Worker` before anything is
patched, and the command line's help needs none of the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poller.access.address import client_network
    from poller.access.granted import Access
    from poller.feed import Feed
    from poller.handlers import history_reset, row_added, row_changed, row_deleted
    from poller.notifier import Notifier
    from poller.reading.database import Database, DatabaseTimeout
    from poller.reading.description import TableError
    from poller.runtime.settings import Settings, SettingsError
    from poller.serving.worker import Worker

__version__ = "0.2.0"

__all__ = [
    "Access",
    "Database",
    "DatabaseTimeout",
    "Feed",
    "Notifier",
    "Settings",
    "SettingsError",
    "TableError",
    "Worker",
    "__version__",
    "client_network",
    "history_reset",
    "row_added",
    "row_changed",
    "row_deleted",
]

_HOMES = {
    "Access": "poller.access.granted",
    "Database": "poller.reading.database",
    "DatabaseTimeout": "poller.reading.database",
    "Feed": "poller.feed",
    "Notifier": "poller.notifier",
    "Settings": "poller.runtime.settings",
    "SettingsError": "poller.runtime.settings",
    "TableError": "poller.reading.description",
    "Worker": "poller.serving.worker",
    "client_network": "poller.access.address",
    "history_reset": "poller.handlers",
    "row_added": "poller.handlers",
    "row_changed": "poller.handlers",
    "row_deleted": "poller.handlers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
