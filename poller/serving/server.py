"""The server that runs this process: can it serve streams, how many, and what would be better?

Polls and streams are greenlets. They run only where waiting is cooperative: the standard library
has to be patched for gevent before the database's engine and the server's threads are made. If it
is not, a request's thread waits for a greenlet of its own hub that never runs, and the stream stays
silent for ever. So that is refused, in words. docs/servers.md has the servers that were tried.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gevent import monkey

MODULES = ("socket", "select", "threading", "time")  # whose calls must not block the others
WHAT_TO_DO = (
    "serve the application with gunicorn -k poller.Worker, or begin its first module with "
    "'from gevent import monkey; monkey.patch_all()'"
)


class UnfitServerError(RuntimeError):
    """Streams cannot be served in this process; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is told of a server in the log. `advice`: what would be better, if something is."""

    name: str
    streams_served: str
    advice: str = ""


WORKER = Server("gunicorn, poller.Worker", "a socket each")
GEVENT_WORKER = Server(
    "gunicorn, gevent worker",
    "a socket each",
    "gunicorn -k poller.Worker ends streams in order, so that a restart need not wait for them",
)
PYWSGI = Server("gevent.pywsgi", "a greenlet each")
SYNC_WORKER = Server(
    "gunicorn, sync worker", "one at a time, and no other request", "gunicorn -k poller.Worker"
)
DEVELOPMENT = Server("Flask's development server", "a greenlet each")
WAITRESS = Server(
    "waitress",
    "a thread each: with the 4 that it has by default the fifth request waits",
    "gunicorn -k poller.Worker",
)
UWSGI = Server("uWSGI", "as many as --gevent or --threads gives it")
OTHER = Server("unknown", "as many as it serves requests at the same time")


def identify(environ: Mapping[str, Any]) -> Server:
    """The server, told from a request's WSGI environment, which may be empty."""
    software = str(environ.get("SERVER_SOFTWARE") or os.environ.get("SERVER_SOFTWARE") or "")
    match software.partition("/")[0].lower():
        case "gunicorn":
            return GEVENT_WORKER if is_gevent_worker() else SYNC_WORKER
        case "gevent":
            return PYWSGI
        case "werkzeug":
            return DEVELOPMENT
        case "waitress":
            return WAITRESS
    return UWSGI if "uwsgi" in sys.modules else OTHER


def is_gevent_worker() -> bool:
    """Whether this is a process of gunicorn's gevent worker, whose sockets are gevent's."""
    return "gunicorn.workers.ggevent" in sys.modules


def is_patched() -> bool:
    """Whether waiting is cooperative."""
    return all(monkey.is_module_patched(module) for module in MODULES)


def check(*, patched_when_made: bool) -> None:
    """Raises UnfitServerError if streams would hang. `patched_when_made`: at `init_app()`."""
    if not is_patched():
        reason = "the standard library is not patched for gevent, so streams would wait for ever"
    elif not patched_when_made:
        reason = (
            "the standard library was patched for gevent after init_app(), whose locks and "
            "connections then block everybody (as with --preload and gunicorn's gevent worker)"
        )
    else:
        return
    raise UnfitServerError(f"{reason}; {WHAT_TO_DO}")


def check_threads() -> None:
    """Raises UnfitServerError for gunicorn's threads: once the standard library is patched, that
    worker answers nothing at all, so nobody would ever read the reason."""
    if is_patched() and "gunicorn.workers.gthread" in sys.modules:
        reason = "gunicorn's gthread worker answers nothing once the standard library is patched"
        raise UnfitServerError(f"{reason}; serve the application with gunicorn -k poller.Worker")
