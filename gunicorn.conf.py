"""How gunicorn serves Rowcast: gevent workers, pollers after the fork, streams ended at the end.

gunicorn reads this file by itself (`gunicorn app:app` in this folder). It takes every global here
that bears a setting's name as that setting, so helpers have names of their own.
"""

from gevent import monkey

monkey.patch_all()  # before anything imports sockets

import logging
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

# Each worker counts for itself in a file of this folder; /metrics adds them up. prometheus_client
# looks for the name when it is imported, so it stands before that.
_METRICS_PREFIX = "rowcast-metrics-"
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_METRICS_PREFIX)

import gevent
import structlog

from poller import notifier
from poller.access import capacity
from poller.runtime.settings import Settings

_DRAIN_WATCH_INTERVAL_S = 0.1
_WRITE_DEADLINE = "ROWCAST_WRITE_DEADLINE"

worker_class = "gevent"
_host = os.environ.get("HOST") or "127.0.0.1"
bind = [f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8000'}"]
# workers: gunicorn takes WEB_CONCURRENCY, default 1.
# A full worker accepts nothing, health checks included: streams are capped well below. Workers that
# take streams over lower it, see below.
_room = capacity.room()
worker_connections = _room.streams + _room.pages
timeout = 30
# Streams end by themselves (see below); this is for a page that is being served.
graceful_timeout = 5
# An idle connection holds the end up for as long.
keepalive = 1
# Whether a proxy's headers are believed is for ROWCAST_PROXIES alone to say.
forwarded_allow_ips = ""
# A local socket that takes commands: on by default, and nobody here needs it.
control_socket_disable = True

# One line an event, on standard error; repr() escapes control characters, so no row or header can
# forge a line.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    wrapper_class=structlog.make_filtering_bound_logger("info"),
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    cache_logger_on_first_use=True,
)


def post_worker_init(worker: Any) -> None:
    """Start what must not be copied by a fork, and watch for the end."""
    for listener in worker.sockets:
        _give_up_on_the_dead(listener)
    state = worker.wsgi.extensions[notifier.EXTENSION]
    if state.settings.fanout and not worker.cfg.is_ssl:
        # A stream that was taken over leaves gunicorn's count, but keeps its descriptor.
        worker.worker_connections = state.room.pages
    worker.log.error_log.addFilter(_tells_of_more_than_a_dead_client)
    notifier.start(worker.wsgi)
    gevent.spawn(_drain_at_end, worker)


def _give_up_on_the_dead(listener: Any) -> None:
    """A client that vanished without a word, or takes nothing of its answer, would be written to
    for a quarter of an hour. The kernel ends what was not acknowledged within the write deadline,
    for streams and pages alike: what is accepted inherits it from the listener."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and listener.family != socket.AF_UNIX:
        given = os.environ.get(_WRITE_DEADLINE, "")
        deadline_s = Settings.from_env({_WRITE_DEADLINE: given}).write_deadline_s
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(deadline_s * 1000))


def _tells_of_more_than_a_dead_client(record: logging.LogRecord) -> bool:
    """gunicorn is silent about a client that is gone, but not about one that was given up."""
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))


def _drain_at_end(worker: Any) -> None:
    """SIGTERM and HUP only clear `worker.alive`. gunicorn would wait the whole graceful timeout
    for open streams, then kill them without `finally`: so they are ended here."""
    while worker.alive:
        gevent.sleep(_DRAIN_WATCH_INTERVAL_S)
    notifier.drain(worker.wsgi)


def worker_int(worker: Any) -> None:
    """Ctrl-C and SIGQUIT: gunicorn exits right after this hook."""
    notifier.drain(worker.wsgi)


def worker_exit(server: Any, worker: Any) -> None:
    """In the worker, at its very end, which may come before the watch above has noticed it: streams
    that were taken over hold no place with gunicorn, so that it waits for none of them."""
    if worker.booted:
        notifier.drain(worker.wsgi)


def child_exit(server: Any, worker: Any) -> None:
    """In the master: a dead worker's gauges no longer count, its counters still do."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """In the master, at the very end."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if server.reexec_pid:
        return  # USR2: the master that takes over counts on in this folder
    if folder.name.startswith(_METRICS_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
