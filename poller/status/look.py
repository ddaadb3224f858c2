"""A look at the machine, for the service that is asked."""

from __future__ import annotations

import time

from poller.status.folder import Told
from poller.status.machine import Machine, workers_of
from poller.status.recorder import Recorder, wall_time
from poller.status.worker import Reporting

LONE_SERVERS = ("gunicorn, gevent worker", "gunicorn, sync worker", "uWSGI")


class Look:
    """`recorder` is this process's."""

    def __init__(self, service: Reporting, recorder: Recorder) -> None:
        self._service = service
        self._recorder = recorder

    def ask(self) -> None:
        """Wait a moment for what the other workers do now."""
        self._recorder.ask()

    def end(self) -> None:
        """Nobody looks any more: keep nothing."""
        self._recorder.folder.forget()

    def machine(self) -> Machine:
        """This worker as it is now, and the others as they last told; they are asked to tell."""
        recorder, service = self._recorder, self._service
        recorder.look()
        own = Told(recorder.folder.name, recorder.now(), recorder.own_hour(), lives=True)
        told = [own, *recorder.folder.others()]
        at = wall_time()
        return Machine(
            at,
            service.url_prefix,
            [str(feed.label) for feed in service.feeds.values()],
            workers_of(told, time.monotonic(), at),
            alone=own.now.server in LONE_SERVERS,
            deadline_s=service.settings.write_deadline_s,
        )
