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

import gc
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from poller.access.admission import Admission
from poller.runtime import log
from poller.serving import client, folders, next_master, registry, server, siblings
from poller.serving.moving.marks import Marks, Name

RESTART_LOOK_S = 0.1  # at whether `max_requests` were served
ALIVE_LOOK_S = 1.0  # as gunicorn's own loop does

Leave = Callable[[float, float, Callable[[], None], Callable[[], bool]], None]  # `Member.leave`


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves applications and their streams in one process, with gevent."""

    # Unbounded until the services are known, and where the user chose `worker_connections`.
    _pages = Admission(sys.maxsize, per_address=0)
    _quits = False
    max_requests: int
    _accepts = True  # connections; it does for up to a second after it was told to end

    @classmethod
    def setup(cls) -> None:
        """In the master, before the application is imported; again at each HUP."""
        folders.keep_for_metrics(os.environ)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003 - gunicorn's signature
        """In the master, with the configuration complete."""
        cfg.set("control_socket_disable", True)
        folders.give_metrics(os.environ, cfg.uid, cfg.gid)
        if (folder := siblings.make_folder(os.environ, cfg.uid, cfg.gid)) is not None:
            folders.hold(folder, siblings.PREFIX)

    def __init__(self, age: int, ppid: int, *given: Any) -> None:
        """In the master, before it forks."""
        super().__init__(age, ppid, *given)
        self.name = Name(ppid, age)
        self.marks = Marks.of(os.environ.get(siblings.FOLDER))
        if self.marks is not None:
            self.marks.announce(self.name)
        next_master.prepare(self.cfg, (folders.METRICS, siblings.FOLDER), _reaped)

    def init_process(self) -> None:
        """In the worker, until its end."""
        self._ends = Event()  # set with every `alive = False` of ours, and at SIGTERM
        try:
            super().init_process()
        finally:
            self.gone()

    def gone(self) -> None:
        """In the master, which has reaped it; or in the worker itself, if it will not serve."""
        if self.marks is not None:
            self.marks.forget(self.name)

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
            self.gone()
            super().run()
            return
        siblings.ours.join(os.environ.get(siblings.FOLDER))
        self._bound_connections(services)
        for listener in self.sockets:
            _bound_silence(listener, max(one.settings.write_deadline_s for one in services))
        self.log.error_log.addFilter(_says_more_than_a_dead_client)
        self.log.error_log.addFilter(log.on_one_line)
        for service in services:
            service.start(server.WORKER)
        leave = None if self.marks is None else self._arrive(self.marks)
        leaving = gevent.spawn(self._leave_at_end, leave)
        # What was loaded stays: the collector need not look at it again, over and over, while
        # streams open by the thousand.
        gc.collect()
        gc.freeze()
        super().run()
        # gunicorn waits for pages only: streams that were taken over hold no place with it.
        self._accepts = False
        leaving.join()
        _drain()
        siblings.ours.leave()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. Nobody needs to wait for a worker that is still starting."""
        if self.marks is not None:
            self.marks.arrived(self.name)
        super().handle_exit(sig, frame)
        self._ends.set()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C and SIGQUIT: gunicorn exits soon after. In a greenlet, for a drain waits."""
        gevent.spawn(self._drain_and_quit, sig, frame)

    def _drain_and_quit(self, sig: int, frame: Any) -> None:
        self._quits, self.alive = True, False
        self._ends.set()
        _drain()
        super().handle_quit(sig, frame)

    def _arrive(self, marks: Marks) -> Leave:
        """Streams may come from other workers from now on; the way in which they leave."""
        # It imports prometheus_client, which looks for the folder that `setup()` has made.
        from poller.serving.moving.member import Member

        member = Member(marks, self.name, registry.services, lambda: not self.alive)
        member.arrive()
        if self.max_requests != sys.maxsize and self.cfg.workers > 1:
            gevent.spawn(self._restart_in_turn, member.wait_for_turn, self.max_requests)
            self.max_requests = sys.maxsize
        return member.leave

    def _leave_at_end(self, leave: Leave | None) -> None:
        """SIGTERM and HUP only clear `alive`. gunicorn would wait the whole graceful timeout for
        open streams, then kill them without `finally`: so they move, or are ended, here. Those that
        come until gunicorn has closed the listeners move, too."""
        while self.alive:  # which gunicorn itself clears where the master is gone
            self._ends.wait(ALIVE_LOOK_S)
        if leave is not None and not self._quits:
            try:
                bounds = self.cfg.graceful_timeout, self.cfg.timeout
                leave(*bounds, self._look, lambda: self._accepts)
            except Exception as error:  # noqa: BLE001 - what did not move is drained
                log.error("hand-over failed", exc_info=error)
        _drain()

    def _look(self) -> None:
        """The worker leaves, and is alive: gunicorn's own loop may have ended."""
        self.notify()
        for service in registry.services():
            service.drain_what_stays()

    def _restart_in_turn(self, wait_for_turn: Callable[[], None], requests: int) -> None:
        """As gunicorn does after `max_requests`, but not all workers at once."""
        while self.alive and self.nr < requests:
            gevent.sleep(RESTART_LOOK_S)
        wait_for_turn()
        if self.alive:
            self.log.info("Autorestarting worker after %s requests.", self.nr)
            self.alive = False
            self._ends.set()

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
        worker.gone()


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
