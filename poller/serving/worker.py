"""gunicorn's worker for Rowcast: `gunicorn -k poller.Worker yourmodule:app`.

gunicorn imports this in its master, before it forks and before it imports the application: so the
standard library is patched first. Only what the master itself needs stays as it is until the fork:
`os` and `signal`, since gevent delivers SIGCHLD from its loop, which the master does not run. The
rest happens in the worker process, once the application is loaded:

- one address gets a part of the places for pages, so that bodies that trickle in do not hold all;
- polling starts, and with it the streams of the first client find a warm log;
- descriptors and write deadlines are bounded as the application's own settings say;
- at HUP, USR2, SIGTERM and `max_requests` the streams go to workers that stay (`moving/`), or are
  drained where nobody does, and at Ctrl-C;
- the workers can tell each other what should not wait (`siblings.py`).

An application without a notifier is served as by gunicorn's gevent worker. gunicorn's configuration
stays the user's, but for two defaults: the control socket is off, since a local socket that takes
commands is of no use here, and each server counts its metrics in a folder of its own. A master that
takes over at USR2 gets that folder.
"""

from gevent import monkey

monkey.patch_all(os=False, signal=False)  # before anything imports sockets

import atexit
import logging
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from poller.access.admission import Admission
from poller.runtime import log
from poller.serving import client, next_master, registry, server, siblings
from poller.serving.folders import Held
from poller.serving.moving.marks import Name
from poller.serving.moving.member import Member

DRAIN_LOOK_S = 0.1
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks for it when it is imported
METRICS_PREFIX = "rowcast-metrics-"


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves applications and their streams in one process, with gevent."""

    # Unbounded until the services are known, and where the user chose `worker_connections`.
    _pages = Admission(sys.maxsize, per_address=0)
    _quits = False
    _accepts = True  # connections; it does for up to a second after it was told to end

    @classmethod
    def setup(cls) -> None:
        """In the master, before the application is imported; again at each HUP."""
        folder = Path(os.environ.get(METRICS_FOLDER, ""))
        if not folder.name or (_made_for_metrics(folder) and not folder.exists()):
            folder = Path(tempfile.mkdtemp(prefix=METRICS_PREFIX))
            os.environ[METRICS_FOLDER] = str(folder)
        if _made_for_metrics(folder):
            _hold(folder, METRICS_PREFIX)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003 - gunicorn's signature
        """In the master, with the configuration complete."""
        cfg.set("control_socket_disable", True)
        if (folder := siblings.make_folder(os.environ, cfg.uid, cfg.gid)) is not None:
            _hold(folder, siblings.PREFIX)

    def __init__(self, age: int, ppid: int, *given: Any) -> None:
        """In the master, before it forks."""
        super().__init__(age, ppid, *given)
        self._member = Member(os.environ.get(siblings.FOLDER), Name(ppid, age))
        self._member.announce()
        next_master.prepare(self.cfg, (METRICS_FOLDER, siblings.FOLDER), _reaped)

    def init_process(self) -> None:
        """In the worker, until its end."""
        try:
            super().init_process()
        finally:
            self._member.gone()

    def patch(self) -> None:
        """In the worker, before the application is loaded: what the master was spared."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)  # patched in two steps
            super().patch()

    # -- in the worker, with the application loaded ---------------------------------------------

    def run(self) -> None:
        """Until the worker is told to end, or has served `max_requests`."""
        services = registry.services()
        if not services:
            self._member.gone()
            return super().run()
        siblings.ours.join(os.environ.get(siblings.FOLDER))
        self._bound_connections(services)
        for listener in self.sockets:
            _bound_silence(listener, max(one.settings.write_deadline_s for one in services))
        self.log.error_log.addFilter(_says_more_than_a_dead_client)
        self.log.error_log.addFilter(log.on_one_line)
        for service in services:
            service.start(server.WORKER)
        self._member.arrive(registry.services, lambda: not self.alive)
        if self.max_requests != sys.maxsize:
            gevent.spawn(self._restart_in_turn, self.max_requests)
            self.max_requests = sys.maxsize
        leaving = gevent.spawn(self._leave_at_end)
        super().run()
        # gunicorn waits for pages only: streams that were taken over hold no place with it.
        self._accepts = False
        leaving.join()
        _drain()
        siblings.ours.leave()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. Nobody needs to wait for a worker that is still starting."""
        self._member.will_not_come()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C and SIGQUIT: gunicorn exits soon after. In a greenlet, for a drain waits."""
        gevent.spawn(self._drain_and_quit, sig, frame)

    def _drain_and_quit(self, sig: int, frame: Any) -> None:
        self._quits, self.alive = True, False
        _drain()
        super().handle_quit(sig, frame)

    def _leave_at_end(self) -> None:
        """SIGTERM and HUP only clear `alive`. gunicorn would wait the whole graceful timeout for
        open streams, then kill them without `finally`: so they move, or are ended, here. Those that
        come until gunicorn has closed the listeners move, too."""
        while self.alive:
            gevent.sleep(DRAIN_LOOK_S)
        if not self._quits:
            self._member.leave(
                self.cfg.graceful_timeout, self._look, lambda: self._accepts
            )
        _drain()

    def _look(self) -> None:
        """The worker leaves, and is alive: gunicorn's own loop may have ended."""
        self.notify()
        for service in registry.services():
            service.drain_what_stays()

    def _restart_in_turn(self, requests: int) -> None:
        """As gunicorn does after `max_requests`, but not all workers at once."""
        while self.alive and self.nr < requests:
            gevent.sleep(DRAIN_LOOK_S)
        self._member.wait_for_turn(self.cfg.workers, lambda: not self.alive)
        if self.alive:
            self.log.info("Autorestarting worker after %s requests.", self.nr)
            self.alive = False

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


def _reaped(worker: object) -> None:
    if isinstance(worker, Worker):  # one that came before may be of another class
        worker._member.gone()  # noqa: SLF001 - this class's own


def _made_for_metrics(folder: Path) -> bool:
    """And not chosen by the user."""
    return folder.name.startswith(METRICS_PREFIX)


def _hold(folder: Path, prefix: str) -> None:
    """Until this master ends. What servers left that were killed is removed now."""
    if folder not in _HELD:
        held = _HELD[folder] = Held(folder)
        held.sweep(prefix)
        _at_end_of_this_process(held.drop)


_HELD: dict[Path, Held] = {}


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
