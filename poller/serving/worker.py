"""gunicorn's worker for Rowcast: `gunicorn -k poller.Worker yourmodule:app`.

gunicorn imports this in its master, before it forks and before it imports the application: so the
standard library is patched first. Only what the master itself needs stays as it is until the fork:
`os` and `signal`, since gevent delivers SIGCHLD from its loop, which the master does not run. The
rest happens in the worker process, once the application is loaded:

- one address gets a part of the places for pages, so that bodies that trickle in do not hold all;
- polling starts, and with it the streams of the first client find a warm log;
- descriptors and write deadlines are bounded as the application's own settings say;
- at SIGTERM, HUP, Ctrl-C and `max_requests` the streams are drained;
- the workers can tell each other what should not wait (`siblings.py`).

An application without a notifier is served as by gunicorn's gevent worker. gunicorn's configuration
stays the user's, but for two defaults: the control socket is off, since a local socket that takes
commands is of no use here, and each server counts its metrics in a folder of its own.
"""

from gevent import monkey

monkey.patch_all(os=False, signal=False)  # before anything imports sockets

import atexit
import gc
import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from poller.access.admission import Admission
from poller.runtime import log
from poller.serving import client, registry, server, siblings

DRAIN_LOOK_S = 0.1
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks for it when it is imported
METRICS_PREFIX = "rowcast-metrics-"


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves applications and their streams in one process, with gevent."""

    # Unbounded until the services are known, and where the user chose `worker_connections`.
    _pages = Admission(sys.maxsize, per_address=0)

    @classmethod
    def setup(cls) -> None:
        """In the master, before the application is imported."""
        if os.environ.get(METRICS_FOLDER):
            return
        folder = os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix=METRICS_PREFIX)
        _at_end_of_this_process(shutil.rmtree, folder, True)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003 - gunicorn's signature
        """In the master, with the configuration complete."""
        cfg.set("control_socket_disable", True)
        folder = siblings.make_folder(os.environ, cfg.uid, cfg.gid)
        if folder is not None:
            # What gunicorn gives to the master that is to take over, at USR2.
            cfg.env_orig[siblings.FOLDER] = str(folder)
            _at_end_of_this_process(siblings.remove_folder, folder)

    def patch(self) -> None:
        """In the worker, before the application is loaded: what the master was spared."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)  # patched in two steps
            super().patch()

    # -- in the worker, with the application loaded ---------------------------------------------

    def run(self) -> None:
        """Until the worker is told to end, or has served `max_requests`."""
        services = registry.services()
        if services:
            siblings.ours.join(os.environ.get(siblings.FOLDER))
            self._bound_connections(services)
            for listener in self.sockets:
                _bound_silence(listener, max(one.settings.write_deadline_s for one in services))
            self.log.error_log.addFilter(_says_more_than_a_dead_client)
            self.log.error_log.addFilter(log.on_one_line)
            for service in services:
                service.start(server.WORKER)
            gevent.spawn(self._drain_at_end)
            # What was loaded stays: the collector need not look at it again, over and over, while
            # streams open by the thousand.
            gc.collect()
            gc.freeze()
        super().run()
        # gunicorn waits for pages only: streams that were taken over hold no place with it.
        _drain()
        siblings.ours.leave()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C and SIGQUIT: gunicorn exits soon after. In a greenlet, for a drain waits."""
        gevent.spawn(self._drain_and_quit, sig, frame)

    def _drain_and_quit(self, sig: int, frame: Any) -> None:
        self.alive = False
        _drain()
        super().handle_quit(sig, frame)

    def _drain_at_end(self) -> None:
        """SIGTERM and HUP only clear `alive`. gunicorn would wait the whole graceful timeout for
        open streams, then kill them without `finally`: so they are ended here."""
        while self.alive:
            gevent.sleep(DRAIN_LOOK_S)
        _drain()

    def _bound_connections(self, services: list[registry.Served]) -> None:
        """A full worker accepts nothing, health checks included: streams are capped well below.

        A value that the user chose stays. A stream that was taken over from gunicorn leaves its
        count, but keeps its descriptor.
        """
        chosen = self.cfg.settings["worker_connections"]
        if chosen.get() != chosen.default:
            return
        pages = min(one.capacity.pages for one in services)
        streams = max(one.capacity.streams for one in services)
        taken_over = all(one.settings.fanout for one in services) and not self.cfg.is_ssl
        self.worker_connections = pages if taken_over else pages + streams
        if taken_over and all(one.settings.max_streams_per_address != 0 for one in services):
            self._pages = Admission(pages, of="connections")

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """One connection, from its first byte to its last, or until its stream is taken over.

        Above its share an address gets no answer: after an error a browser's EventSource would
        give up, after this it comes back.
        """
        address = addr[0] if isinstance(addr, tuple) else ""
        with self._pages.place(address) as served:
            if served:
                super().handle(listener, client, addr)
            else:
                client.close()


def _at_end_of_this_process(call: Callable[..., None], *arguments: object) -> None:
    """Not at the end of those that it forks, which have a copy of this."""
    maker = os.getpid()

    def end() -> None:
        if os.getpid() == maker:
            call(*arguments)

    atexit.register(end)


def _drain() -> None:
    for service in registry.services():
        service.drain()


def _bound_silence(listener: Any, seconds: float) -> None:
    """A client that vanished without a word, or takes nothing of its answer, would be written to
    for a quarter of an hour: so streams and pages alike have a bound."""
    if listener.family != socket.AF_UNIX:
        client.bound_silence(listener, seconds)


def _says_more_than_a_dead_client(record: logging.LogRecord) -> bool:
    """gunicorn is silent about a client that is gone, but not about one that was given up."""
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))
